using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Analysis;

/// <summary>What to do with an experiment.</summary>
internal enum RecommendedAction
{
    Ship,
    KeepControl,
    KeepRunning,
    FixTheExperiment,
    Start,
}

/// <summary>What to do with an experiment, and why.</summary>
/// <param name="Action">What to do.</param>
/// <param name="Variant">The key of the variant to ship, or null.</param>
/// <param name="DecidedBy">The metrics that decided, and those that could not be judged when it was decided.</param>
/// <param name="Reasons">Why, the most important reason first.</param>
internal sealed record RecommendationView(
    RecommendedAction Action,
    string? Variant,
    IReadOnlyList<DecidingMetric> DecidedBy,
    IReadOnlyList<RecommendationReason> Reasons
);

/// <summary>A metric that decided.</summary>
internal sealed record DecidingMetric(long Metric, string Name, MetricRole Role);

/// <summary>A reason as a code and as a sentence, with the metric and the variant that it is about, if it is about one.</summary>
internal sealed record RecommendationReason(VerdictReason Code, string Text, long? Metric, string? Variant);
