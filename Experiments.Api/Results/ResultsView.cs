using System.Text.Json.Serialization;
using Experiments.Api.Metrics;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Results;

/// <summary>Who won, whether that can be trusted, and every number that it follows from.</summary>
[Example(
    """
        {"as_of": "2026-11-22T12:00:00Z", "events_not_counted": 0, "counting_held": null, "is_final": false, "refresh_requested_at": null,
            "last_error": null, "last_error_at": null,
         "recommendation": "keep_running", "reasons": ["not_significant"], "total": 2000,
         "variants": [{"key": "control", "weight": 50, "identities": 1000, "share": 0.5},
             {"key": "green", "weight": 50, "identities": 1000, "share": 0.5}],
         "sample_ratio": {"p_value": 1, "is_healthy": true},
         "held_out": 0, "excluded": {"several_variants": 0, "not_its_own_variant": 0, "not_enrolled": 0, "while_paused": 0,
             "before_start": 0, "no_identifier": 0, "test_identity": 0}, "warnings": [],
         "progress": {"identities": 1000, "needed": 12600, "share": 0.0794, "days_left": 8.3},
         "metrics": [{"metric": 1, "name": "Purchases", "role": "primary", "expected_direction": "increase", "aggregation": "occurrence",
             "added_after_start": false,
            "arms": [{"key": "control", "n": 1000, "sum": 100, "sum_squares": 100, "mean": 0.1, "standard_error": 0.0095},
                {"key": "green", "n": 1000, "sum": 120, "sum_squares": 120, "mean": 0.12, "standard_error": 0.0103}],
            "treatments": [{"key": "green", "verdict": "inconclusive", "reason": "not_significant", "significance": "high_p_value",
                "effect": 0.2, "difference": 0.02, "standard_error": 0.014,
                "frequentist": {"p_value": 0.1527, "ci": [-0.0661, 0.5521], "degrees_of_freedom": 1985.4}, "adjusted_p_value": 0.1527,
                    "benjamini_hochberg_p_value": 0.1527,
                "sequential": {"p_value": 0.9389, "ci": [-0.1992, 0.8303]}, "adjusted_sequential_p_value": 0.9389,
                "bayesian": {"chance_to_win": 0.9236, "ci": [-0.0659, 0.5519], "expected_loss": [0.2048, 0.0048]},
                "exact": {"chance_to_win": 0.9229, "expected_loss": [0.0203, 0.0004]}, "cuped": null}]}]}
        """
)]
internal sealed record ResultsView(
    DateTime AsOf,
    long EventsNotCounted,
    CountingHeld? CountingHeld,
    bool IsFinal,
    DateTime? RefreshRequestedAt,
    string? LastError,
    DateTime? LastErrorAt,
    string Recommendation,
    IReadOnlyList<VerdictReason> Reasons,
    long Total,
    IReadOnlyList<ExposedVariant> Variants,
    SampleRatioView SampleRatio,
    long HeldOut,
    IReadOnlyDictionary<string, long> Excluded,
    IReadOnlyList<ResultsWarning> Warnings,
    ProgressView? Progress,
    IReadOnlyList<MetricResult> Metrics
);

/// <summary>
/// What whoever reads the results should know: the rollout was lowered, so that so many identities count in a variant that they no longer
/// get. Null where they could not be counted.
/// </summary>
internal sealed record ResultsWarning(string Code, long? Identities);

/// <summary>One metric over the arms; with an error, and no sums, where it could not be computed.</summary>
internal sealed record MetricResult(
    long Metric,
    string Name,
    MetricRole Role,
    ExpectedDirection ExpectedDirection,
    MetricAggregation Aggregation,
    bool AddedAfterStart,
    IReadOnlyList<ArmResult> Arms,
    IReadOnlyList<TreatmentResult> Treatments,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Error = null
);

/// <summary>The sums of an arm over its identities. What its metric does not have is absent.</summary>
internal sealed record ArmResult(
    string Key,
    long N,
    double Sum,
    double SumSquares,
    double? Mean,
    double? StandardError,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? DenominatorSum = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? DenominatorSumSquares = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? CrossSum = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? CovariateSum = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? CovariateSumSquares = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? CovariateCrossSum = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<long>? ReachedSteps = null
)
{
    /// <summary>How many identities have a value other than 0, of which a verdict needs 50 an arm; a proportion's is its sum.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? NonZero { get; init; }

    /// <summary>The same of the denominator of a ratio.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? DenominatorNonZero { get; init; }
}

/// <summary>
/// How far along an experiment is that has been planned: how many identities of those that it needs, and how many days are left as they
/// come now.
/// </summary>
internal sealed record ProgressView(long Identities, long Needed, double Share, double? DaysLeft);

/// <summary>
/// A treatment beside control: a plain verdict, why, and what it follows from; null where nothing can be said. The effect is relative to
/// control's mean, the difference and its standard error are in units of the metric.
/// </summary>
internal sealed record TreatmentResult(
    string Key,
    Verdict Verdict,
    VerdictReason Reason,
    Significance Significance,
    double? Effect,
    double? Difference,
    double? StandardError,
    FrequentistView? Frequentist,
    double? AdjustedPValue,
    double? BenjaminiHochbergPValue,
    SequentialView? Sequential,
    double? AdjustedSequentialPValue,
    BayesianView? Bayesian,
    ExactView? Exact,
    CupedView? Cuped
)
{
    /// <summary>Where too few identities have a value for their means to be compared: which share has one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ShareWithValue? ShareWithValue { get; init; }
}

/// <summary>
/// By the posteriors of the arms themselves, for what is converted or counted; losses of keeping control and of shipping, in units of the
/// metric.
/// </summary>
internal sealed record ExactView(double ChanceToWin, IReadOnlyList<double> ExpectedLoss);
