namespace Experiments.Api.Platform.Access;

/// <summary>Marks a route that the public key of an environment opens, and nothing else does.</summary>
internal sealed record EnvironmentKeyRoute
{
    public const string Header = "X-Environment-Key";

    /// <summary>The query parameter for the key, for clients that cannot set a header.</summary>
    public const string Query = "environment_key";

    /// <summary>Where else the key may be.</summary>
    public KeySource Source { get; init; }

    /// <summary>Whether the request has come to such a route.</summary>
    public static bool IsFor(HttpContext http) => http.GetEndpoint()?.Metadata.GetMetadata<EnvironmentKeyRoute>() is not null;

    /// <summary>Whether a path that does not exist is where such routes are, so that an application may have meant one.</summary>
    public static bool Covers(PathString path)
    {
        // Whoever has a slash too many means the path without it.
        var meant = new PathString("/" + string.Join('/', path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries)));
        return Places.Any(place => meant.StartsWithSegments(place));
    }

    private static readonly PathString[] Places =
    [
        "/api/v1/flags",
        "/api/v1/identities",
        "/api/v1/web-experiments",
        "/api/v1/traits",
        "/api/v1/analytics",
        "/api/v1/bulk-identities",
        "/ofrep",
        "/sse",
        "/v1",
        "/flags",
        "/decide",
        "/batch",
        "/capture",
        "/track",
        "/e",
        "/i/v0",
        "/array",
        "/api/web_experiments",
        "/api/eval",
    ];
}

/// <summary>Where a client may send the key of an environment, besides <see cref="EnvironmentKeyRoute.Header"/>.</summary>
internal enum KeySource
{
    /// <summary>Nowhere else.</summary>
    Header,

    /// <summary>In the query, because a beacon of a browser cannot set a header; PostHog's SDKs call it <c>token</c>.</summary>
    Query,

    /// <summary>As <c>X-API-Key</c> or as a bearer token, which is what OpenFeature's providers can be given.</summary>
    Credentials,

    /// <summary>In the path.</summary>
    Path,

    /// <summary>In the body, where PostHog's SDKs put it.</summary>
    Body,
}
