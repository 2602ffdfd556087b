namespace Experiments.Api.Platform.Settings;

/// <summary>The section <c>Cors</c> of the configuration.</summary>
internal sealed class CorsOrigins
{
    public const string Section = "Cors";

    /// <summary>
    /// The origins of pages that may call the management API, separated by commas; <c>*</c> for all. Applications may be called from
    /// anywhere in any case.
    /// </summary>
    public string Origins { get; set; } = "";

    public string[] List => Origins.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>Whether this is an origin as browsers send it: scheme, host and port, and nothing after them.</summary>
    public static bool IsOrigin(string text) =>
        text == "*"
        || (
            Uri.TryCreate(text, UriKind.Absolute, out var address)
            && address.Scheme is "http" or "https"
            && address.GetLeftPart(UriPartial.Authority).Equals(text, StringComparison.OrdinalIgnoreCase)
        );
}
