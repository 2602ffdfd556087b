using System.Text.RegularExpressions;
using FluentValidation;

namespace Experiments.Api.Platform.Http;

/// <summary>Rules that more than one slice has. Lengths count characters (Unicode scalars), as the database does.</summary>
internal static class Rules
{
    public static IRuleBuilderOptions<T, string?> Required<T>(this IRuleBuilder<T, string?> rule, int maxLength) =>
        rule.Must(text => !string.IsNullOrWhiteSpace(text)).WithMessage("This is required and may not be blank.").MaxCharacters(maxLength);

    public static IRuleBuilderOptions<T, string?> MaxCharacters<T>(this IRuleBuilder<T, string?> rule, int maxLength) =>
        rule.Must(text => Fits(text, maxLength)).WithMessage(TooLong(maxLength));

    /// <summary>A member of a PATCH: absent is fine, null or blank is not.</summary>
    public static IRuleBuilderOptions<T, Optional<string>> RequiredIfPresent<T>(
        this IRuleBuilder<T, Optional<string>> rule,
        int maxLength
    ) =>
        rule.Must(text => !text.IsPresent || !string.IsNullOrWhiteSpace(text.Value))
            .WithMessage("This may not be null or blank.")
            .Must(text => Fits(text.Value, maxLength))
            .WithMessage(TooLong(maxLength));

    public static IRuleBuilderOptions<T, Optional<TValue>> NotNullIfPresent<T, TValue>(this IRuleBuilder<T, Optional<TValue>> rule) =>
        rule.Must(value => !value.IsPresent || value.Value is not null).WithMessage("This may not be null.");

    public static IRuleBuilderOptions<T, string?> OneOf<T>(this IRuleBuilder<T, string?> rule, params string[] words) =>
        rule.Must(word => word is null || words.Contains(word, StringComparer.Ordinal))
            .WithMessage($"This must be one of: {string.Join(", ", words)}.");

    /// <summary>A parameter of the query that names an object.</summary>
    public static IRuleBuilderOptions<T, string?> Id<T>(this IRuleBuilder<T, string?> rule, string of) =>
        rule.Must(text => text is null || ObjectIds.In(text) is not null).WithMessage($"This must be the id of {of}.");

    /// <summary>Text that is searched for, taken literally.</summary>
    public static IRuleBuilderOptions<T, string?> Search<T>(this IRuleBuilder<T, string?> rule) =>
        rule.MaxCharacters(1000)
            .Must(text => text is null || !text.Contains('\0', StringComparison.Ordinal))
            .WithMessage("This holds a NUL character.");

    /// <summary>
    /// The pattern that finds <paramref name="text"/> anywhere, with nothing in it taken for a wildcard; null finds everything.
    /// </summary>
    public static string? LikePattern(string? text) =>
        string.IsNullOrWhiteSpace(text) ? null : $"%{Regex.Replace(text.Trim(), @"[\\%_]", @"\$0")}%";

    /// <summary>Whether a text has so many characters at most.</summary>
    public static bool Fits(string? text, int maxLength) =>
        text is null || text.Length <= maxLength || text.Trim().EnumerateRunes().Count() <= maxLength;

    private static string TooLong(int maxLength) => $"This may have {maxLength} characters at most.";
}
