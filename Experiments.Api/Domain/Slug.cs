namespace Experiments.Api.Domain;

/// <summary>The keys of variants: 1 to 255 ASCII letters, digits, hyphens and underscores.</summary>
internal static class Slug
{
    /// <summary>The variant that every experiment compares with. It is the feature's own value, so no option may take its name.</summary>
    public const string Control = "control";

    public static bool IsValid(string? key) =>
        key is { Length: >= 1 and <= 255 } && key.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    public static bool IsControl(string? key) => string.Equals(key, Control, StringComparison.OrdinalIgnoreCase);
}
