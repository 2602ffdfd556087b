using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.ApiKeys;

/// <summary>A key as it is read: everything but the secret.</summary>
[Example(
    """
        {"id": 2, "name": "deploy", "created_by": "alice@example.com", "created_at": "2026-11-22T12:00:00Z", "expires_at": null,
            "revoked_at": null}
        """
)]
internal record ApiKeyView
{
    public const string Columns = "k.id, k.name, k.created_by, k.created_at, k.expires_at, k.revoked_at";

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime? ExpiresAt { get; init; }

    public required DateTime? RevokedAt { get; init; }
}
