namespace Experiments.Api.Platform.Access;

/// <summary>Marks a route that the public key of an environment opens, and nothing else does.</summary>
internal sealed record EnvironmentKeyRoute
{
    public const string Header = "X-Environment-Key";

    /// <summary>Whether the request has come to such a route.</summary>
    public static bool IsFor(HttpContext http) => http.GetEndpoint()?.Metadata.GetMetadata<EnvironmentKeyRoute>() is not null;
}
