using Experiments.Api.Platform.Http;

namespace Experiments.Api.Analysis;

/// <summary>
/// The results of a metric by the day (UTC) of the first exposure. An effect that shrinks from one day's identities to the next, or as they
/// stay longer, is the sign of a novelty that wears off.
/// </summary>
/// <param name="AsOf">Up to when everything has been counted.</param>
/// <param name="Metric">The id of the metric.</param>
/// <param name="Name">Its name.</param>
/// <param name="Days">The last 100 days with exposures, oldest first; the level of each is the day.</param>
/// <param name="Earlier">Those who were exposed before; null if there are none.</param>
[Example(
    """
        {"as_of": "2026-11-22T12:00:00Z", "metric": 1, "name": "Purchase", "days": [{"level": "2026-11-21",
            "arms": [{"key": "control", "n": 1000, "sum": 100, "mean": 0.1}, {"key": "green", "n": 1000, "sum": 120, "mean": 0.12}],
            "treatments": [{"key": "green", "effect": 0.2, "difference": 0.02, "standard_error": 0.014, "ci": [-0.0661, 0.5521],
                "sequential": {"p_value": 0.9389, "ci": [-0.1992, 0.8303]}, "adjusted_p_value": 0.9389}]}], "earlier": null}
        """
)]
internal sealed record DaysView(DateTime AsOf, long Metric, string Name, IReadOnlyList<GroupResult> Days, GroupResult? Earlier)
{
    public static DaysView Of(IReadOnlyList<IdentityGroup> found, MeasuredMetric metric, ResultsInput input)
    {
        var groups = found.OrderBy(group => group.Level, StringComparer.Ordinal).ToList();
        var results = IdentityGroup.Compare(groups, metric, input);
        return new(
            input.AsOf,
            metric.Metric,
            metric.Name,
            [.. results.Where(group => group.Level is not null)],
            results.FirstOrDefault(group => group.Level is null)
        );
    }
}
