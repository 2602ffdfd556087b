namespace Experiments.Api.Platform.Pages;

/// <summary>The section <c>Pages</c> of the configuration.</summary>
internal sealed class PagesOptions
{
    public const string Section = "Pages";

    /// <summary>Whether the service has pages. Its API is the same without them.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Further origins that signing in needs, separated by spaces, where the endpoints are not at the issuer.</summary>
    public string ConnectTo { get; set; } = "";

    /// <summary>How people sign in with OpenID Connect; with API keys only without it.</summary>
    public OidcOptions Oidc { get; set; } = new();

    /// <summary>The provider where people sign in (authorization code with PKCE, as a public client).</summary>
    internal sealed class OidcOptions
    {
        /// <summary>The address of the issuer, whose discovery document says the rest.</summary>
        public Uri? Authority { get; set; }

        /// <summary>The id of the pages there.</summary>
        public string? ClientId { get; set; }

        /// <summary>What is asked for; the access token must be one that the API accepts.</summary>
        public string Scope { get; set; } = "openid profile";

        public bool IsComplete => Authority is { IsAbsoluteUri: true } && !string.IsNullOrWhiteSpace(ClientId);

        public bool IsAbsent => Authority is null && ClientId is null;
    }
}
