using System.Text.Json.Serialization;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Analysis;

/// <summary>The verdict, whether it can be trusted, and every number behind it.</summary>
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
    IReadOnlyList<VariantExposures> Variants,
    SampleRatioView SampleRatio,
    long HeldOut,
    IReadOnlyDictionary<string, long> Excluded,
    IReadOnlyList<ResultsWarning> Warnings,
    ProgressView? Progress,
    IReadOnlyList<MetricResult> Metrics
);

/// <summary>
/// A warning for the reader of the results: the rollout was lowered, so this many identities count in a variant that they no longer get.
/// Null if they could not be counted.
/// </summary>
internal sealed record ResultsWarning(string Code, long? Identities);

/// <summary>One metric across the arms. If it could not be computed, it has an error and no sums.</summary>
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

/// <summary>The sums of an arm over its identities. Members that do not apply to the metric are absent.</summary>
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
    /// <summary>
    /// The number of identities with a value other than 0. A verdict needs 50 per arm. For a proportion it equals the sum.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? NonZero { get; init; }

    /// <summary>The same for the denominator of a ratio.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? DenominatorNonZero { get; init; }
}

/// <summary>The progress of a planned experiment: the identities it has and needs, and the days left at the current rate.</summary>
internal sealed record ProgressView(long Identities, long Needed, double Share, double? DaysLeft);

/// <summary>
/// A treatment compared with control: a plain verdict, the reason, and the numbers behind it. Null if no comparison is possible. The
/// effect is relative to control's mean. The difference and its standard error are in units of the metric.
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
    /// <summary>The share of identities with a value, if there are too few to compare means.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ShareWithValue? ShareWithValue { get; init; }
}

/// <summary>
/// The comparison by the exact posteriors of the arms, for conversions and counts. The losses are those of keeping control and of
/// shipping the treatment, in units of the metric.
/// </summary>
internal sealed record ExactView(double ChanceToWin, IReadOnlyList<double> ExpectedLoss);
