using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Experiments;

/// <summary>An experiment as it is read, and the columns that make it.</summary>
[Example(
    """
        {"id": 1, "name": "Green button", "hypothesis": "A green button sells more.", "description": "", "type": "product",
            "status": "running",
         "feature": {"id": 1, "name": "button_colour", "type": "multivariate", "enabled": true, "initial_value": "blue",
             "multivariate_options": [{"id": 1, "key": "green", "value": "green", "default_percentage_allocation": 0}]},
         "rollout_percentage": 50, "variants": [{"key": "control", "value": "blue", "weight": 50},
             {"key": "green", "value": "green", "weight": 50}], "metrics": [],
                 "holdout": {"id": 1, "name": "Nobody's test", "percentage": 5}, "exposure": {"multiple_variants": "exclude"},
                 "breakdowns": ["country"], "unit": null, "hashing": "native", "aa": false, "source": null,
         "parameters": {"minimum_detectable_effect": 0.05, "recommended_sample_size": 233760, "recommended_running_time": 9,
             "test": "sequential", "alpha": 0.05, "power": 0.8, "comparisons": 1,
             "baseline": {"identities": 1000, "mean": 0.1, "variance": 0.09, "source": "recent_events"}, "guardrails": []},
             "exposure_cohort": null, "archived": false, "conclusion": null, "conclusion_comment": null, "shipped_variant": null,
         "created_by": "alice@example.com", "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:30:00Z",
             "started_at": "2026-11-22T12:30:00Z", "ended_at": null}
        """
)]
internal record ExperimentView : ITagged, IIdentified
{
    /// <summary>The version of what is read: of the experiment <c>e</c> and of the feature <c>f</c> that it shows.</summary>
    public const string Tag = """ '"' || e.version || '-' || f.version || '"' """;

    /// <summary>Selects this view from an experiment <c>e</c> and its feature <c>f</c>.</summary>
    public const string Columns = $"""
        {ColumnsButMetrics},
        (SELECT COALESCE(json_agg({ExperimentMetricView.State} ORDER BY l.id), '[]') FROM experiment_metrics l
            WHERE l.experiment_id = e.id)::text AS metrics
        """;

    /// <summary>The same without its metrics, which a statement that has just attached them does not see yet.</summary>
    public const string ColumnsButMetrics = $"""
        {Tag} AS etag, e.id, e.name, e.hypothesis, e.description, e.type, e.status, e.hashing, e.aa, e.rollout_percentage,
        variants_shown(e.type, e.variants, e.transforms)::text AS variants, e.exposure::text AS exposure, e.breakdowns,
            {UnitBody.OfExperiment} AS unit,
            COALESCE(e.plan, 'null')::text AS parameters, {ExperimentSource.OfExperiment}::text AS source, e.archived,
        COALESCE((SELECT json_build_object('id', h.id, 'name', h.name, 'percentage', h.percentage) FROM holdouts h
            WHERE h.id = e.holdout_id), 'null')::text AS holdout, e.conclusion, e.conclusion_comment, e.shipped_variant,
        (SELECT c.id FROM cohorts c WHERE c.experiment_id = e.id) AS exposure_cohort,
        e.created_by, e.created_at, e.updated_at, e.started_at, e.ended_at,
        json_build_object(
            'id', f.id, 'name', f.name,
            'type', CASE WHEN f.multivariate_options = '[]' THEN 'standard' ELSE 'multivariate' END,
            'enabled', f.enabled, 'initial_value', f.initial_value, 'multivariate_options', f.multivariate_options)::text AS feature
        """;

    /// <summary>What the audit log shows of an experiment <c>e</c>.</summary>
    public const string State = $"""
        jsonb_build_object(
            'name', e.name, 'hypothesis', e.hypothesis, 'description', e.description, 'type', e.type, 'status', e.status,
            'feature', e.feature_id, 'rollout_percentage', e.rollout_percentage, 'variants',
                variants_shown(e.type, e.variants, e.transforms),
            'holdout', e.holdout_id, 'exposure', e.exposure, 'breakdowns', e.breakdowns,
            'unit', NULLIF(e.unit_key, ''), 'hashing', e.hashing, 'aa', e.aa,
            'source', {ExperimentSource.OfExperiment}, 'parameters', e.plan, 'archived', e.archived,
            'conclusion', e.conclusion, 'conclusion_comment', e.conclusion_comment, 'shipped_variant', e.shipped_variant,
            'started_at', instant(e.started_at), 'ended_at', instant(e.ended_at))
        """;

    [JsonIgnore]
    public string ETag { get; init; } = "";

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Hypothesis { get; init; }

    public required string Description { get; init; }

    [Words("product", "web")]
    public required string Type { get; init; }

    public required ExperimentStatus Status { get; init; }

    public required Json<ExperimentFeature> Feature { get; init; }

    public required decimal RolloutPercentage { get; init; }

    public required Json<IReadOnlyList<Variant>> Variants { get; init; }

    public required Json<IReadOnlyList<ExperimentMetricView>> Metrics { get; init; }

    public required Json<ExperimentHoldout?> Holdout { get; init; }

    public required Json<ExposureCriteria> Exposure { get; init; }

    /// <summary>The traits by whose values at the first exposure results are broken down.</summary>
    public required string[] Breakdowns { get; init; }

    /// <summary>What is assigned and analysed; null for identities.</summary>
    public required Json<UnitBody?> Unit { get; init; }

    /// <summary>How identities are assigned: natively, or as Flagsmith's SDKs do when they evaluate flags themselves.</summary>
    [Words("native", FlagsmithHashing.Name)]
    public required string Hashing { get; init; }

    /// <summary>Whether its variants are meant to serve the same, as a test of the set-up.</summary>
    public required bool Aa { get; init; }

    /// <summary>The warehouse that it is counted from; null for the events that are sent to the service.</summary>
    public required Json<ExperimentSource?> Source { get; init; }

    /// <summary>How large it should become, where that has been planned.</summary>
    public required Json<ExperimentPlan?> Parameters { get; init; }

    /// <summary>The cohort of those who were shown it, by its id.</summary>
    public required long? ExposureCohort { get; init; }

    public required bool Archived { get; init; }

    [Words("won", "lost", "inconclusive", "stopped_early", "invalid")]
    public required string? Conclusion { get; init; }

    public required string? ConclusionComment { get; init; }

    public required string? ShippedVariant { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime UpdatedAt { get; init; }

    public required DateTime? StartedAt { get; init; }

    public required DateTime? EndedAt { get; init; }
}

/// <summary>One arm of an experiment: its key, the value that it serves and its share, in percent.</summary>
internal sealed record Variant(
    string Key,
    JsonElement? Value,
    decimal Weight,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Transform>? Transforms = null
);

/// <summary>The holdout of an experiment.</summary>
internal sealed record ExperimentHoldout(long Id, string Name, decimal Percentage);

/// <summary>How large an experiment should become, by what its primary metric is without it.</summary>
/// <param name="MinimumDetectableEffect">The smallest relative effect that it is to find.</param>
/// <param name="RecommendedSampleSize">How many identities it takes, over all arms.</param>
/// <param name="RecommendedRunningTime">How many days that takes, where it is known how many identities come in one.</param>
internal sealed record ExperimentPlan(double? MinimumDetectableEffect, long? RecommendedSampleSize, double? RecommendedRunningTime)
{
    /// <summary>
    /// The test that the size is for: the one that the verdict rests on, valid at any number of looks. Null for a size of one's own.
    /// </summary>
    [Words("sequential")]
    public string? Test { get; init; } = "sequential";

    public double? Alpha { get; init; }

    public double? Power { get; init; }

    /// <summary>The number of treatments among which the error rate is divided.</summary>
    public int? Comparisons { get; init; }

    public PlanBaselineView? Baseline { get; init; }

    /// <summary>How many identities a single look at a time fixed in advance would take; only if asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? FixedSampleSize { get; init; }

    /// <summary>How many identities each metric that must not get worse needs to be found safe.</summary>
    public IReadOnlyList<GuardrailPlan> Guardrails { get; init; } = [];
}

/// <summary>What a plan is made from: control once it is large enough, or recent events.</summary>
internal sealed record PlanBaselineView(
    long Identities,
    double Mean,
    double Variance,
    [property: Words("control", "recent_events")] string Source
);

/// <summary>
/// How many identities in all variants it takes to find a metric safe by its margin if nothing changes; null if its baseline does not say.
/// </summary>
internal sealed record GuardrailPlan(long Metric, double Margin, long? SampleSize);

/// <summary>The feature that an experiment stands on.</summary>
internal sealed record ExperimentFeature(
    long Id,
    string Name,
    [property: Words("standard", "multivariate")] string Type,
    bool Enabled,
    JsonElement? InitialValue,
    IReadOnlyList<Features.FeatureOption> MultivariateOptions
);
