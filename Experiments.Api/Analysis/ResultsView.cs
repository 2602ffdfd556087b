using System.Text.Json.Serialization;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>The verdict, whether it can be trusted, and every number behind it.</summary>
[Example(
    """
        {"as_of": "2026-11-22T12:00:00Z", "events_not_counted": 0, "counting_held": null, "is_final": false, "refresh_requested_at": null,
            "last_error": null, "last_error_at": null, "evidence_since": null,
         "recommendation": {"action": "keep_running", "variant": null, "decided_by": [{"metric": 1, "name": "Purchases",
             "role": "primary"}], "reasons": [{"code": "not_significant",
             "text": "“green” and control can't be told apart on “Purchases” yet.", "metric": 1, "variant": "green"}]}, "total": 2000,
         "variants": [{"key": "control", "weight": 50, "identities": 1000, "share": 0.5},
             {"key": "green", "weight": 50, "identities": 1000, "share": 0.5}],
         "sample_ratio": {"p_value": 1, "sequential_p_value": 1, "is_healthy": true},
         "held_out": 0, "excluded": {"several_variants": 0, "not_its_own_variant": 0, "not_enrolled": 0, "while_paused": 0,
             "before_start": 0, "no_identifier": 0, "test_identity": 0}, "warnings": [],
         "progress": {"identities": 1000, "needed": 12600, "share": 0.0794, "days_left": 8.3, "power": 0.0004},
         "metrics": [{"metric": 1, "name": "Purchases", "role": "primary", "expected_direction": "increase", "aggregation": "occurrence",
             "added_after_start": false,
            "arms": [{"key": "control", "n": 1000, "sum": 100, "sum_squares": 100, "mean": 0.1, "standard_error": 0.0095,
                 "chance_to_be_best": 0.0764},
                {"key": "green", "n": 1000, "sum": 120, "sum_squares": 120, "mean": 0.12, "standard_error": 0.0103,
                    "chance_to_be_best": 0.9236}],
            "treatments": [{"key": "green", "verdict": "inconclusive", "reason": "not_significant",
                "effect": 0.2, "difference": 0.02, "standard_error": 0.014,
                "frequentist": {"p_value": 0.1527, "ci": [-0.0661, 0.5521], "degrees_of_freedom": 1985.4}, "adjusted_p_value": 0.1527,
                    "benjamini_hochberg_p_value": 0.1527,
                "sequential": {"p_value": 0.9389, "ci": [-0.1992, 0.8303]}, "adjusted_sequential_p_value": 0.9389,
                "bayesian": {"chance_to_win": 0.9236, "ci": [-0.0659, 0.5519], "expected_loss": [0.2048, 0.0048]},
                "exact": {"chance_to_win": 0.9229, "expected_loss": [0.0203, 0.0004]}, "cuped": null}]}]}
        """
)]
internal sealed record ResultsView
{
    /// <summary>The time up to which events are counted.</summary>
    public required DateTime AsOf { get; init; }

    /// <summary>The number of events received but not counted yet.</summary>
    public required long EventsNotCounted { get; init; }

    public CountingHeld? CountingHeld { get; init; }

    /// <summary>How many identities have been erased since the results are final; their values are still in the sums.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? IdentitiesErased { get; init; }

    public bool IsFinal { get; init; }

    public DateTime? RefreshRequestedAt { get; init; }

    public string? LastError { get; init; }

    public DateTime? LastErrorAt { get; init; }

    /// <summary>The last read of the warehouse, for an experiment that is counted from one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public WarehouseReadView? Warehouse { get; init; }

    /// <summary>The first of the hourly looks whose evidence stands, or null before it.</summary>
    public DateTime? EvidenceSince { get; init; }

    public required RecommendationView Recommendation { get; init; }

    /// <summary>The number of identities that count.</summary>
    public required long Total { get; init; }

    public required IReadOnlyList<VariantExposures> Variants { get; init; }

    public required SampleRatioView SampleRatio { get; init; }

    public required long HeldOut { get; init; }

    public required IReadOnlyDictionary<string, long> Excluded { get; init; }

    public required IReadOnlyList<ResultsWarning> Warnings { get; init; }

    public required ProgressView? Progress { get; init; }

    public required IReadOnlyList<MetricResult> Metrics { get; init; }

    /// <summary>
    /// By metric, for each treatment, whether its effect is significant in the terms of PostHog's first engine. Only if asked for, because
    /// it may contradict the verdict.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<long, IReadOnlyList<Significance>>? Significance { get; init; }
}

/// <summary>
/// A warning for the reader of the results. <c>rollout_lowered</c>: so many identities count in a variant that they no longer get, null if
/// they could not be counted. <c>effect_changed</c>: the intervals of all looks at a metric have nothing in common, so its effect on a
/// variant has changed. <c>pre_period_difference</c>: the values from before the exposure differ between control and a variant, so the
/// two are not comparable.
/// </summary>
internal sealed record ResultsWarning(string Code, long? Identities)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Metric { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Variant { get; init; }
}

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
)
{
    /// <summary>For a metric that must not get worse: by which share of control it may, at most, still be called safe.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Margin { get; init; }

    /// <summary>True if its direction or margin was corrected after the experiment had started.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? CorrectedAfterStart { get; init; }

    /// <summary>For a metric whose identities count once their windows are over.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public WindowsView? Windows { get; init; }

    /// <summary>How many of its events do not count because they have no number; absent if all have one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? NotNumbers { get; init; }

    /// <summary>The events of its definition that the environment has never received; absent if it has received all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? MissingEvents { get; init; }

    /// <summary>The limits to which its values were clamped.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public WinsorizedView? Winsorized { get; init; }

    /// <summary>True while the events from before it was attached are still being counted.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? IsBackfilling { get; init; }

    /// <summary>The same with PostHog's significance codes.</summary>
    public MetricResult With(IReadOnlyDictionary<long, IReadOnlyList<Significance>>? significance) =>
        significance?.GetValueOrDefault(Metric) is { } ofTreatments
            ? this with
            {
                Treatments = [.. Treatments.Zip(ofTreatments, (arm, word) => arm with { Significance = word })],
            }
            : this;

    /// <summary>Whether the metric must not get worse, rather than improve.</summary>
    [JsonIgnore]
    public bool IsGuardrail => MeasuredMetric.IsGuard(Role, ExpectedDirection);
}

/// <summary>
/// How many identities wait for the end of their windows, and how many windows were cut short when they were closed. The latter count by
/// what they did until then; retention leaves them out.
/// </summary>
internal sealed record WindowsView(long Waiting, long CutShort);

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
    /// <summary>The chance that the mean of this variant is the best of all, control included; null if there is too little data.</summary>
    public double? ChanceToBeBest { get; init; }

    /// <summary>Of a ratio with a covariate, the sums of what its denominator was before the exposure.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DenominatorCovariate? DenominatorCovariate { get; init; }

    /// <summary>The quantiles that the metric asks for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<QuantileView>? Quantiles { get; init; }

    /// <summary>
    /// The number of identities with a value other than 0. A verdict needs 50 per arm. For a proportion it equals the sum.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? NonZero { get; init; }

    /// <summary>The same for the denominator of a ratio.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? DenominatorNonZero { get; init; }
}

/// <summary>
/// The progress of a planned experiment: the identities it has and needs, the days left at the current rate, and the power to find the
/// planned effect with the identities that it has.
/// </summary>
internal sealed record ProgressView(long Identities, long Needed, double Share, double? DaysLeft, double? Power);

/// <summary>
/// A treatment compared with control: a plain verdict, the reason, and the numbers behind it. Null if no comparison is possible.
/// </summary>
internal sealed record TreatmentResult(string Key, Verdict Verdict, VerdictReason Reason)
{
    /// <summary>What is still missing before means can be compared.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Floor? Missing { get; init; }

    /// <summary>Whether the effect is significant in the terms of PostHog's first engine; only if asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Significance? Significance { get; init; }

    /// <summary>The difference relative to control's mean.</summary>
    public double? Effect { get; init; }

    /// <summary>The difference of the means, in units of the metric.</summary>
    public double? Difference { get; init; }

    public double? StandardError { get; init; }

    public FrequentistView? Frequentist { get; init; }

    /// <summary>The one-look p-value after Holm's adjustment within the family.</summary>
    public double? AdjustedPValue { get; init; }

    public double? BenjaminiHochbergPValue { get; init; }

    /// <summary>The test that the verdict rests on, including what the hourly looks have found so far.</summary>
    public SequentialView? Sequential { get; init; }

    public double? AdjustedSequentialPValue { get; init; }

    /// <summary>For a metric that must not get worse, the tests against its margin.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public GuardrailView? Guardrail { get; init; }

    public BayesianView? Bayesian { get; init; }

    public ExactView? Exact { get; init; }

    public CupedView? Cuped { get; init; }

    /// <summary>How the quantiles that the metric asks for differ from those of control.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<QuantileDifference>? Quantiles { get; init; }

    /// <summary>The share of identities with a value, if there are too few to compare means.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ShareWithValue? ShareWithValue { get; init; }
}

/// <summary>
/// The one-sided p-values, valid at any number of looks, of "worse by more than the margin" and of "not worse by more than the margin".
/// </summary>
internal sealed record GuardrailView(double HarmedPValue, double SafePValue);

/// <summary>
/// The comparison by the exact posteriors of the arms, for conversions and counts. The losses are those of keeping control and of
/// shipping the treatment, in units of the metric.
/// </summary>
internal sealed record ExactView(double ChanceToWin, IReadOnlyList<double> ExpectedLoss);
