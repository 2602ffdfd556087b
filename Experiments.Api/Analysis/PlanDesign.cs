using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// The design of an experiment as its plan needs it: the test of one metric, with the sample that its verdict will rest on.
/// </summary>
internal static class PlanDesign
{
    /// <summary>
    /// The power of a metric's test, or null if its baseline has no variance or its mean is 0, or there is nothing to compare.
    /// </summary>
    /// <param name="metric">The metric.</param>
    /// <param name="baseline">The sums of the baseline.</param>
    /// <param name="weights">The weights of the variants, control first.</param>
    /// <param name="alpha">The error rate of the whole family.</param>
    public static SequentialPower? Of(
        PlannedMetric metric,
        SufficientStatistics baseline,
        IReadOnlyList<decimal> weights,
        double alpha = SequentialTests.Alpha
    )
    {
        var treatments = weights.Skip(1).Where(weight => weight > 0).ToList();
        if (baseline.N < 2 || treatments.Count == 0 || weights[0] == 0)
        {
            return null;
        }

        var kind = MeasuredMetric.KindOf(metric.Aggregation, metric.Definition);
        var unit = Comparison.UnitOf(baseline, kind);
        if (!(unit.Variance > 0) || !double.IsFinite(unit.Variance) || unit.Mean == 0 || !double.IsFinite(unit.Mean))
        {
            return null;
        }

        var (isProportion, total) = (kind == MetricKind.Proportion, (double)weights.Sum());
        var isGuardrail = MeasuredMetric.IsGuard(metric.Role, metric.ExpectedDirection);
        return new(
            unit.Mean,
            unit.Variance,
            isProportion,
            Math.Min(
                1,
                (kind == MetricKind.Ratio ? Math.Min(baseline.NonZero, baseline.DenominatorNonZero) : baseline.NonZero) / baseline.N
            ),
            (double)weights[0] / total,
            (double)treatments.Min() / total,
            // Holm's first step divides the error rate among the treatments; guardrails are tested on their own.
            alpha
                * (isProportion ? SequentialTests.ShareOfSequence : 1)
                / (isGuardrail && metric.Role != MetricRole.Primary ? 1 : treatments.Count)
        )
        {
            Floor = Analysis.Floor.Minimum(kind),
            Margin =
                !isGuardrail ? null
                : MeasuredMetric.IsHigherBetter(metric.ExpectedDirection) ? metric.Margin
                : -metric.Margin,
        };
    }
}

/// <summary>A metric to plan for.</summary>
internal sealed record PlannedMetric(
    MetricAggregation Aggregation,
    MetricDefinition Definition,
    MetricRole Role,
    ExpectedDirection ExpectedDirection,
    double Margin
);
