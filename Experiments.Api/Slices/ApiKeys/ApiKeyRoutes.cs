using Experiments.Api.Platform.Wire;

namespace Experiments.Api.Slices.ApiKeys;

internal static class ApiKeyRoutes
{
    public static void MapApiKeys(this RouteGroupBuilder environment)
    {
        var keys = environment.MapGroup("/api-keys").WithTags("API keys");
        ListApiKeys.Map(keys);
        CreateApiKey.Map(keys);
        RevokeApiKey.Map(keys);
    }
}

/// <summary>A key as it is read: everything but the secret.</summary>
internal record ApiKeyView : IIdentified
{
    public const string Columns = "k.id, k.name, k.created_by, k.created_at, k.expires_at, k.revoked_at";

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime? ExpiresAt { get; init; }

    public required DateTime? RevokedAt { get; init; }
}
