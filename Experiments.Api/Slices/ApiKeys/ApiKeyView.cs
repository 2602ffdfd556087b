using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.ApiKeys;

/// <summary>A key as it is read: everything but the secret.</summary>
[Example(
    """
        {"id": 2, "name": "deploy", "scopes": ["read", "write"], "created_by": "alice@example.com",
            "created_at": "2026-11-22T12:00:00Z", "expires_at": null, "revoked_at": null, "last_used_at": null}
        """
)]
internal record ApiKeyView
{
    public const string Columns = "k.id, k.name, k.scopes, k.created_by, k.created_at, k.expires_at, k.revoked_at, k.last_used_at";

    public required long Id { get; init; }

    public required string Name { get; init; }

    /// <summary>What it may do: <c>read</c>, <c>write</c> and <c>admin</c>, each with those before it.</summary>
    [Words("read", "write", "admin")]
    public required string[] Scopes { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime? ExpiresAt { get; init; }

    public required DateTime? RevokedAt { get; init; }

    /// <summary>When it was last used, to the minute.</summary>
    public required DateTime? LastUsedAt { get; init; }
}
