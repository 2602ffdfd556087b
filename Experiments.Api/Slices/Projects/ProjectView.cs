using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Projects;

/// <summary>A project as it is read.</summary>
[Example(
    """
        {"id": 1, "name": "Shop", "organisation": "Acme", "created_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record ProjectView
{
    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Organisation { get; init; }

    public required DateTime CreatedAt { get; init; }
}

/// <summary>An environment as it is read. Its key is public: it stands in addresses and in applications.</summary>
[Example(
    """
        {"id": 1, "name": "production", "key": "nYdVidOgY3xmcaFZEvZo5v", "former_key_until": null,
            "kept_traits": [], "created_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record EnvironmentView
{
    public const string Columns =
        "e.id, e.name, e.key, CASE WHEN e.former_key_until > clock_timestamp() THEN e.former_key_until END AS former_key_until, "
        + "e.kept_traits, e.created_at";

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Key { get; init; }

    /// <summary>Until when the key before the last rotation is still accepted; null if it is not.</summary>
    public required DateTime? FormerKeyUntil { get; init; }

    /// <summary>The keys of the traits that are kept of identities.</summary>
    public required string[] KeptTraits { get; init; }

    public required DateTime CreatedAt { get; init; }
}
