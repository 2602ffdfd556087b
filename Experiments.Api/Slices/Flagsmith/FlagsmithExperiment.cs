using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>An experiment as Flagsmith's front end reads it.</summary>
[Example(
    """
        {"id": 1, "feature": {"id": 1, "name": "button_colour", "type": "MULTIVARIATE", "description": null, "initial_value": "blue",
             "default_enabled": true, "multivariate_options": [], "environment_feature_state": {"enabled": true,
             "feature_state_value": "blue"}, "created_date": null},
         "name": "Green button", "hypothesis": "A green button sells more.", "status": "running", "metrics": [],
         "experiment_rollout": {"enabled": true, "rollout_percentage": 50, "feature_state_value": {"type": "string", "value": "blue"},
             "multivariate_feature_state_values": [{"multivariate_feature_option": 1, "percentage_allocation": 50}]},
         "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:30:00Z", "started_at": "2026-11-22T12:30:00Z",
         "ended_at": null}
        """
)]
internal sealed record FlagsmithExperiment(
    long Id,
    FlagsmithFeature Feature,
    string Name,
    string Hypothesis,
    ExperimentStatus Status,
    IReadOnlyList<FlagsmithExperimentMetric> Metrics,
    FlagsmithRollout ExperimentRollout,
    DateTime CreatedAt,
    DateTime UpdatedAt,
    DateTime? StartedAt,
    DateTime? EndedAt
)
{
    public static FlagsmithExperiment Of(ExperimentView experiment)
    {
        var feature = StoredJson.Read<ExperimentFeature>(experiment.Feature.Text);
        var variants = StoredJson.Read<List<Variant>>(experiment.Variants.Text);
        return new(
            experiment.Id,
            FlagsmithFeature.Of(feature, variants),
            experiment.Name,
            experiment.Hypothesis,
            experiment.Status,
            [.. StoredJson.Read<List<ExperimentMetricView>>(experiment.Metrics.Text).Select(FlagsmithExperimentMetric.Of)],
            new(
                feature.Enabled,
                experiment.RolloutPercentage,
                FlagsmithTypedValue.Of(variants[0].Value),
                [
                    .. feature.MultivariateOptions.Select(option => new FlagsmithAllocation(
                        option.Id,
                        variants.FirstOrDefault(variant => variant.Key == option.Key)?.Weight ?? 0
                    )),
                ]
            ),
            experiment.CreatedAt,
            experiment.UpdatedAt,
            experiment.StartedAt,
            experiment.EndedAt
        );
    }
}

/// <summary>Who takes part in an experiment and what they get; control takes what the options leave.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record FlagsmithRollout(
    bool? Enabled = null,
    [property: Must(Minimum = 0, Maximum = 100)] decimal? RolloutPercentage = null,
    FlagsmithTypedValue? FeatureStateValue = null,
    IReadOnlyList<FlagsmithAllocation?>? MultivariateFeatureStateValues = null
);

/// <summary>The share of an option, in percent.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record FlagsmithAllocation(
    [property: Must(Required = true)] long? MultivariateFeatureOption = null,
    [property: Must(Required = true, Minimum = 0, Maximum = 100)] decimal? PercentageAllocation = null
);

/// <summary>A metric of an experiment.</summary>
[Example(
    """
        {"id": 1, "metric": 1, "metric_name": "Purchases", "aggregation": "occurrence", "direction": "up", "expected_direction": "increase",
         "created_at": "2026-11-22T12:00:00Z"}
        """
)]
internal sealed record FlagsmithExperimentMetric(
    long Id,
    long Metric,
    string MetricName,
    [property: Words<MetricAggregation>] string Aggregation,
    [property: Words<MetricDirection>] string Direction,
    [property: Words<ExpectedDirection>] string ExpectedDirection,
    DateTime CreatedAt
)
{
    public static FlagsmithExperimentMetric Of(ExperimentMetricView link) =>
        new(link.Id, link.Metric, link.MetricName, link.Aggregation, link.Direction, link.ExpectedDirection, link.CreatedAt);
}

/// <summary>A page of experiments with how many there are in each status.</summary>
[Example(
    """
        {"count": 0, "next": null, "previous": null, "status_counts": {"created": 0, "running": 0, "paused": 0, "completed": 0},
         "results": []}
        """
)]
internal sealed record FlagsmithExperiments(
    long Count,
    string? Next,
    string? Previous,
    ListExperiments.StatusCounts StatusCounts,
    IReadOnlyList<FlagsmithExperiment> Results
);
