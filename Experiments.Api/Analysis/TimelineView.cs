using Experiments.Api.Platform.Http;

namespace Experiments.Api.Analysis;

/// <summary>First exposures and first conversions over time.</summary>
/// <param name="AsOf">Up to when everything has been counted.</param>
/// <param name="Metric">The id of the metric.</param>
/// <param name="Name">Its name.</param>
/// <param name="Interval"><c>hour</c> or <c>day</c>, in UTC.</param>
/// <param name="Points">The last 500 intervals in which anything happened, oldest first.</param>
/// <param name="Earlier">What happened before, by variant; null if nothing did.</param>
[Example(
    """
        {"as_of": "2026-11-22T12:00:00Z", "metric": 1, "name": "Purchase", "interval": "day", "points": [{"at": "2026-11-22T00:00:00Z",
            "variants": [{"key": "control", "exposed": 1000, "converted": 100}, {"key": "green", "exposed": 1000, "converted": 120}]}],
            "earlier": null}
        """
)]
internal sealed record TimelineView(
    DateTime AsOf,
    long Metric,
    string Name,
    [property: Words("hour", "day")] string Interval,
    IReadOnlyList<TimelinePoint> Points,
    IReadOnlyList<TimelineArm>? Earlier
)
{
    public static TimelineView Of(
        DateTime asOf,
        MeasuredMetric metric,
        bool isHourly,
        IReadOnlyList<string> keys,
        IReadOnlyList<KeyValuePair<DateTime, (long Exposed, long Converted)[]>> points
    )
    {
        var earlier = points.SkipLast(MetricTimeline.MostPoints).ToList();
        return new(
            asOf,
            metric.Metric,
            metric.Name,
            isHourly ? "hour" : "day",
            [
                .. points
                    .TakeLast(MetricTimeline.MostPoints)
                    .Select(point => new TimelinePoint(
                        point.Key,
                        [.. point.Value.Zip(keys, (arm, key) => new TimelineArm(key, arm.Exposed, arm.Converted))]
                    )),
            ],
            earlier.Count == 0
                ? null
                :
                [
                    .. keys.Select(
                        (key, index) =>
                            new TimelineArm(
                                key,
                                earlier.Sum(point => point.Value[index].Exposed),
                                earlier.Sum(point => point.Value[index].Converted)
                            )
                    ),
                ]
        );
    }
}

/// <summary>One hour or day, by its first instant.</summary>
internal sealed record TimelinePoint(DateTime At, IReadOnlyList<TimelineArm> Variants);

/// <summary>How many identities were first exposed to a variant, and how many of that variant had their first conversion.</summary>
internal sealed record TimelineArm(string Key, long Exposed, long Converted);
