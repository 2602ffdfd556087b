using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>The sums of an arm as they are shown.</summary>
internal static class ArmResults
{
    public static ArmResult Of(MeasuredMetric metric, int index, string key, long n, double? chanceToBeBest)
    {
        var arm = metric.Arm(index, n);
        var isRatio = metric.Kind == MetricKind.Ratio;
        var usesCovariate = metric.Definition.LookbackDays is not null;
        var unit = n >= 2 && (!isRatio || arm.DenominatorSum != 0) ? Comparison.UnitOf(arm, metric.Kind) : (SampleMoments?)null;
        return new(
            key,
            n,
            arm.Sum,
            arm.SumSquares,
            Finite(unit?.Mean),
            Finite(unit is { } known ? Math.Sqrt(known.Variance / n) : null),
            isRatio ? arm.DenominatorSum : null,
            isRatio ? arm.DenominatorSumSquares : null,
            isRatio ? arm.CrossSum : null,
            usesCovariate ? arm.CovariateSum : null,
            usesCovariate ? arm.CovariateSumSquares : null,
            usesCovariate ? arm.CovariateCrossSum : null,
            metric.Aggregation != MetricAggregation.Funnel ? null : ReachedSteps(metric, index)
        )
        {
            ChanceToBeBest = chanceToBeBest,
            Quantiles = metric.Quantiles?[index] is { Count: > 0 } quantiles ? quantiles : null,
            NonZero = metric.Kind == MetricKind.Proportion ? null : (long)arm.NonZero,
            DenominatorCovariate = usesCovariate && isRatio ? arm.Prior : null,
            DenominatorNonZero = isRatio ? (long)arm.DenominatorNonZero : null,
        };
    }

    private static IReadOnlyList<long> ReachedSteps(MeasuredMetric metric, int index) =>
        [
            .. Enumerable
                .Range(1, metric.Definition.Steps!.Count)
                .Select(step => metric.Steps.Where(reached => reached.Arm == index && reached.Step >= step).Sum(reached => reached.Count)),
        ];

    private static double? Finite(double? value) => value is { } number && double.IsFinite(number) ? number : null;
}
