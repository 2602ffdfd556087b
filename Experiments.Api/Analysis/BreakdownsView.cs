using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>The results of a metric by the levels of the traits that the experiment is broken down by.</summary>
[Example(
    """
        {"as_of": "2026-11-22T12:00:00Z", "metric": 1, "name": "Purchase", "breakdowns": [{"trait": "country", "levels": [{"level": "de",
            "arms": [{"key": "control", "n": 1000, "sum": 100, "mean": 0.1}, {"key": "green", "n": 1000, "sum": 120, "mean": 0.12}],
            "treatments": [{"key": "green", "effect": 0.2, "difference": 0.02, "standard_error": 0.014, "ci": [-0.0661, 0.5521],
                "sequential": {"p_value": 0.9389, "ci": [-0.1992, 0.8303]}, "adjusted_p_value": 0.9389}]}], "rest": null, "not_set": null,
            "post_stratified": [{"key": "green", "effect": 0.2, "difference": 0.02, "standard_error": 0.014, "ci": [-0.0661, 0.5521],
                "plain": {"effect": 0.2, "difference": 0.02, "standard_error": 0.014}}]}]}
        """
)]
internal sealed record BreakdownsView(DateTime AsOf, long Metric, string Name, IReadOnlyList<BreakdownView> Breakdowns);

/// <summary>
/// The results by the levels of one trait at the first exposure. They explain a result and decide nothing: with many levels, some differ by
/// chance.
/// </summary>
/// <param name="Trait">The name of the trait.</param>
/// <param name="Levels">The 20 levels with the most identities, in that order.</param>
/// <param name="Rest">Those who have another level; null if there are none.</param>
/// <param name="NotSet">Those whose first exposure has no such trait; null if there are none.</param>
/// <param name="PostStratified">Each treatment compared with control, both weighted to the same mix of levels.</param>
internal sealed record BreakdownView(
    string Trait,
    IReadOnlyList<GroupResult> Levels,
    GroupResult? Rest,
    GroupResult? NotSet,
    IReadOnlyList<PostStratifiedView> PostStratified
)
{
    public static BreakdownView Of(string trait, IReadOnlyList<IdentityGroup> found, MeasuredMetric metric, ResultsInput input)
    {
        var groups = found.OrderByDescending(group => group.N).ThenBy(group => group.Level, StringComparer.Ordinal).ToList();
        var results = groups.Zip(IdentityGroup.Compare(groups, metric, input)).ToList();
        return new(
            trait,
            [.. results.Where(group => group.First.Level is not null).Select(group => group.Second)],
            results.FirstOrDefault(group => group.First is { IsRest: true }).Second,
            results.FirstOrDefault(group => group.First is { IsRest: false, Level: null }).Second,
            [
                .. input
                    .Variants.Index()
                    .Skip(1)
                    .Select(variant => PostStratifiedView.Of(variant.Item.Key, groups, variant.Index, metric.Kind)),
            ]
        );
    }
}

/// <summary>
/// The effect with both arms weighted to the mix of levels of all identities, beside the plain one. Null if there are too few identities.
/// </summary>
/// <param name="Key">The key of the variant.</param>
/// <param name="Effect">The difference relative to control's mean.</param>
/// <param name="Difference">The difference of the means, in units of the metric.</param>
/// <param name="StandardError">The standard error of the difference.</param>
/// <param name="Ci">The 95 % interval of the effect for a single look.</param>
/// <param name="Plain">The same without weights.</param>
internal sealed record PostStratifiedView(
    string Key,
    double? Effect,
    double? Difference,
    double? StandardError,
    IReadOnlyList<double?>? Ci,
    PlainView? Plain
)
{
    public static PostStratifiedView Of(string key, IReadOnlyList<IdentityGroup> groups, int treatment, MetricKind kind)
    {
        var strata = groups.Select(group => new Stratum(group.Arms[0], group.Arms[treatment], group.N)).ToList();
        var effect = PostStratification.Of(strata, kind == MetricKind.Ratio);
        var plain = strata.Count == 0 ? null : PostStratification.Of([strata.Aggregate(Stratum.Add)], kind == MetricKind.Ratio);
        var bounds = effect is null
            ? null
            : Fieller.Bounds(
                effect.Value,
                effect.Variance,
                effect.Control,
                FixedHorizon.Multiplier(effect.DegreesOfFreedom, Alternative.TwoSided, SequentialTests.Alpha),
                Alternative.TwoSided
            );
        return new(
            key,
            effect?.Relative,
            effect?.Value,
            effect?.StandardError,
            bounds is { } interval ? [interval.Low, interval.High] : null,
            plain is null ? null : new(plain.Relative, plain.Value, plain.StandardError)
        );
    }
}

/// <summary>The effect without weights.</summary>
internal sealed record PlainView(double? Effect, double Difference, double StandardError);
