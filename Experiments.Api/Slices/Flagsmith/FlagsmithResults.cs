using System.Globalization;
using Experiments.Api.Analysis;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Exposures;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>The results as Flagsmith's front end reads them; null before the start.</summary>
[Example(
    """
        {"results": {"as_of": "2026-11-22T12:00:00Z", "last_error_at": null, "refresh_requested_at": null, "is_final": false,
         "payload": {"srm_p_value": 0.658, "metrics": [{"metric_id": 1,
             "variants": {"control": {"n": 1000, "sum": 100, "sum_squares": 100}, "green": {"n": 1000, "sum": 120, "sum_squares": 120}},
             "inference": {"green": {"lift": 0.2, "ci_low": -0.0659, "ci_high": 0.5519, "chance_to_win": 0.9236}}}]}}}
        """
)]
internal sealed record FlagsmithResults(FlagsmithComputed<FlagsmithResultsPayload>? Results)
{
    public static FlagsmithResults Of(ResultsView view) =>
        view.Recommendation.Action == RecommendedAction.Start
            ? new((FlagsmithComputed<FlagsmithResultsPayload>?)null)
            : new(
                new FlagsmithComputed<FlagsmithResultsPayload>(
                    view.AsOf,
                    view.LastErrorAt,
                    view.RefreshRequestedAt,
                    view.IsFinal,
                    new(
                        view.SampleRatio.PValue,
                        [
                            .. view.Metrics.Select(metric => new FlagsmithMetricResult(
                                metric.Metric,
                                metric.Arms.ToDictionary(arm => arm.Key, arm => new FlagsmithSums(arm.N, arm.Sum, arm.SumSquares)),
                                metric.Treatments.ToDictionary(arm => arm.Key, Inference)
                            )),
                        ]
                    )
                )
            );

    private static FlagsmithInference? Inference(TreatmentResult arm) =>
        arm is { Effect: { } lift, Bayesian: { Ci: [{ } low, { } high], ChanceToWin: var chance } } ? new(lift, low, high, chance) : null;
}

/// <summary>The exposures as Flagsmith's front end reads them; null before the start.</summary>
[Example(
    """
        {"exposures": {"as_of": "2026-11-22T12:00:00Z", "last_error_at": null, "refresh_requested_at": null, "is_final": false,
         "payload": {"excluded_identities": 7, "timeseries": {"granularity": "hour",
             "points": [{"bucket": "2026-11-22T11:00:00+00:00", "new_identities": {"control": 507, "green": 493}}]}}}}
        """
)]
internal sealed record FlagsmithExposures(FlagsmithComputed<FlagsmithExposuresPayload>? Exposures)
{
    public static FlagsmithExposures Of(ExperimentView experiment, ExposuresView view) =>
        experiment.StartedAt is null
            ? new((FlagsmithComputed<FlagsmithExposuresPayload>?)null)
            : new(
                new FlagsmithComputed<FlagsmithExposuresPayload>(
                    view.AsOf,
                    null,
                    null,
                    view.AsOf > experiment.EndedAt && view.EventsNotCounted == 0,
                    new(
                        view.Excluded.Values.Sum(),
                        new(
                            view.Series.Interval,
                            [
                                .. view.Series.Points.Select(point => new FlagsmithPoint(
                                    point.At.ToString("yyyy-MM-dd'T'HH:mm:ss'+00:00'", CultureInfo.InvariantCulture),
                                    point.Identities
                                )),
                            ]
                        )
                    )
                )
            );
}

/// <summary>Something that has been computed, with when.</summary>
internal sealed record FlagsmithComputed<T>(DateTime AsOf, DateTime? LastErrorAt, DateTime? RefreshRequestedAt, bool IsFinal, T Payload);

/// <summary>Results by metric.</summary>
internal sealed record FlagsmithResultsPayload(double? SrmPValue, IReadOnlyList<FlagsmithMetricResult> Metrics);

/// <summary>The sums of each variant, and how each differs from control; null where there is not enough data.</summary>
internal sealed record FlagsmithMetricResult(
    long MetricId,
    IReadOnlyDictionary<string, FlagsmithSums> Variants,
    IReadOnlyDictionary<string, FlagsmithInference?> Inference
);

/// <summary>The sums of a variant.</summary>
internal sealed record FlagsmithSums(long N, double Sum, double SumSquares);

/// <summary>How a variant compares with control.</summary>
internal sealed record FlagsmithInference(double Lift, double CiLow, double CiHigh, double ChanceToWin);

/// <summary>Exposures over time.</summary>
internal sealed record FlagsmithExposuresPayload(long ExcludedIdentities, FlagsmithTimeseries Timeseries);

/// <summary>New identities over time.</summary>
internal sealed record FlagsmithTimeseries([property: Words("hour", "day")] string Granularity, IReadOnlyList<FlagsmithPoint> Points);

/// <summary>New identities of an hour or day.</summary>
internal sealed record FlagsmithPoint(string Bucket, IReadOnlyDictionary<string, long> NewIdentities);
