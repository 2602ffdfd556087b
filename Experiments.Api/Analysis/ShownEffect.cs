using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// What is shown of a treatment. Means are shown once there is enough data for them; conversions at any size, because their test is exact.
/// </summary>
/// <param name="View">The comparison of the means by every method, or null.</param>
/// <param name="Difference">The difference of the means, in units of the metric.</param>
/// <param name="Effect">The same relative to control's mean.</param>
/// <param name="Sequential">The test that is valid at any number of looks, or null if there is too little data for any.</param>
internal sealed record ShownEffect(ComparedArm? View, double? Difference, double? Effect, SequentialView? Sequential)
{
    public static ShownEffect Of(MeasuredMetric metric, ComparedMetricArm arm, string key)
    {
        var view = arm.Reason is null ? ComparedArm.Of(key, arm.Comparison) : null;
        var (difference, effect) =
            view is not null || metric.Kind != MetricKind.Proportion ? (view?.Difference, view?.Effect) : DifferenceOf(arm);
        return new(view, difference, effect, view is not null || arm.Tests != SequentialTests.None ? SequentialOf(arm) : null);
    }

    private static (double? Difference, double? Effect) DifferenceOf(ComparedMetricArm arm) =>
        arm.Rates is not { } rates
            ? (null, null)
            : (rates.Treatment - rates.Control, rates.Control == 0 ? null : (rates.Treatment / rates.Control) - 1);

    // The intersection of the intervals of all looks; where it is empty, that of this look.
    private static SequentialView SequentialOf(ComparedMetricArm arm)
    {
        var shown = arm.Tests.HasChanged ? arm.Now : arm.Tests;
        return new(arm.Tests.PValue, [shown.Low, shown.High])
        {
            CiReason =
                shown is { Low: not null, High: not null } ? null
                : arm.Comparison is { Difference: not null, Effect: null } || arm.Rates?.Control == 0 ? ComparisonReason.ZeroBaseline
                : ComparisonReason.ControlNearZero,
        };
    }
}
