using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>A holdout as it is read, and the columns that make it.</summary>
[Example(
    """
        {"id": 1, "name": "Never in a test", "description": "", "percentage": 5, "unit": null,
            "experiments": [{"id": 1, "name": "Green button", "status": "running"}],
         "created_by": "alice@example.com", "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:00:00Z",
             "retired_at": null}
        """
)]
internal record HoldoutView : ITagged, IIdentified
{
    // A statement that retires it takes it from drafts, and does not see that itself.
    private const string Shown = "e.holdout_id = h.id AND e.deleted_at IS NULL AND (h.retired_at IS NULL OR e.status <> 'created')";

    // With what it shows of its experiments.
    public const string Tag = $"""
        '"' || h.version || '-' || (SELECT md5(COALESCE(string_agg(e.id || ':' || e.status || ':' || e.name, ',' ORDER BY e.id), ''))
            FROM experiments e WHERE {Shown}) || '"'
        """;

    /// <summary>Selects this view from a holdout <c>h</c>.</summary>
    public const string Columns = $"""
        {Tag} AS etag, h.id, h.name, h.description, h.percentage, {UnitBody.OfHoldout} AS unit,
        (SELECT COALESCE(json_agg(json_build_object('id', e.id, 'name', e.name, 'status', e.status) ORDER BY e.id), '[]')
         FROM experiments e WHERE {Shown})::text AS experiments,
        h.created_by, h.created_at, h.updated_at, h.retired_at
        """;

    /// <summary>The holdout as <c>changed</c>, or as <c>subject</c> found it if it was not.</summary>
    public const string Now = """
        now AS (
            SELECT id, name, description, percentage, unit_key, version, created_by, created_at, updated_at, retired_at FROM changed
            UNION ALL
            SELECT id, name, description, percentage, unit_key, version, created_by, created_at, updated_at, retired_at FROM subject
            WHERE NOT EXISTS (SELECT FROM changed)
        )
        """;

    /// <summary>What the audit log shows of a holdout <c>h</c>.</summary>
    public const string State =
        "jsonb_build_object('name', h.name, 'description', h.description, 'percentage', h.percentage, 'unit', NULLIF(h.unit_key, ''), "
        + "'retired_at', instant(h.retired_at))";

    /// <summary>Whether an experiment with the holdout <c>h</c> is running or paused.</summary>
    public const string Engaged =
        "EXISTS (SELECT FROM experiments e WHERE e.holdout_id = h.id AND e.status IN ('running', 'paused') AND e.deleted_at IS NULL)";

    /// <summary>Whether it matters who is in the holdout <c>h</c>: experiments have counted by it, or features keep values by it.</summary>
    public const string Counted = """
        (EXISTS (SELECT FROM experiments e WHERE e.holdout_id = h.id AND e.started_at IS NOT NULL AND e.deleted_at IS NULL)
            OR EXISTS (SELECT FROM environment_features f WHERE f.held_by = h.id AND f.deleted_at IS NULL))
        """;

    /// <summary>
    /// Goes before the statement of a change, as one of its own: it waits for experiments that are being given the holdout or started,
    /// and they for it.
    /// </summary>
    public const string Lock = """
        WITH standing AS (
            SELECT s.feature_id FROM feature_states s
            WHERE s.environment_id = @EnvironmentId AND (s.held_by = @Id OR s.feature_id IN (SELECT e.feature_id FROM experiments e
                WHERE e.holdout_id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL))
            ORDER BY s.feature_id FOR NO KEY UPDATE
        )
        SELECT id FROM holdouts WHERE id = @Id AND environment_id = @EnvironmentId AND (SELECT count(*) FROM standing) >= 0 FOR UPDATE;
        """;

    [JsonIgnore]
    public string ETag { get; init; } = "";

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Description { get; init; }

    /// <summary>The share of all identities that it holds out, from 0 to 100.</summary>
    public required decimal Percentage { get; init; }

    /// <summary>What it holds out; null for identities. Experiments that have it have the same.</summary>
    public required Json<UnitBody?> Unit { get; init; }

    public required Json<IReadOnlyList<HeldOutExperiment>> Experiments { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime UpdatedAt { get; init; }

    /// <summary>From when on it holds nobody out and cannot be used by new experiments.</summary>
    public required DateTime? RetiredAt { get; init; }
}

/// <summary>An experiment that has the holdout.</summary>
internal sealed record HeldOutExperiment(long Id, string Name, ExperimentStatus Status);
