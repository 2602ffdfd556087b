using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Cohorts;

/// <summary>
/// A cohort as it is read: the identities that count in an experiment, or in one of its variants, whoever they are by now.
/// </summary>
[Example(
    """
        {"id": 1, "name": "Users exposed to experiment \"Green button\"", "experiment": 1, "variant": null, "count": 1000,
         "created_by": "alice@example.com", "created_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record CohortView : IIdentified
{
    /// <summary>Selects this view from a cohort <c>c</c>.</summary>
    public const string Columns = $"""
        c.id, c.name, c.experiment_id AS experiment, c.variant,
        (SELECT COALESCE(sum(n.count), 0)::bigint FROM exposure_counts n
         WHERE n.experiment_id = c.experiment_id AND n.outcome LIKE '{Domain.ExposureState.InVariant}%'
             AND (c.variant IS NULL OR n.outcome = '{Domain.ExposureState.InVariant}' || c.variant)) AS count,
        c.created_by, c.created_at
        """;

    /// <summary>What the audit log shows of a cohort <c>c</c>.</summary>
    public const string State = "jsonb_build_object('name', c.name, 'experiment', c.experiment_id, 'variant', c.variant)";

    /// <summary>The indexes of the variants whose identities are members of a cohort <c>c</c>: that of its own, or all.</summary>
    public const string Indexes = """
        ARRAY(SELECT (v.ordinal - 1)::smallint FROM experiments e, jsonb_array_elements(e.variants) WITH ORDINALITY AS v(variant, ordinal)
              WHERE e.id = c.experiment_id AND (c.variant IS NULL OR v.variant->>'key' = c.variant))
        """;

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required long Experiment { get; init; }

    /// <summary>The variant that its members count in; null for all of them.</summary>
    public required string? Variant { get; init; }

    public required long Count { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }
}

/// <summary>An identity of a cohort.</summary>
internal sealed record Member(string Identifier, string Variant, DateTime ExposedAt);
