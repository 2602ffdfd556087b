using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>The p-values of one treatment by one metric, adjusted for the number of metrics and arms.</summary>
internal sealed record AdjustedPValues(double Holm, double BenjaminiHochberg, double Sequential);

/// <summary>
/// The family consists of the primary and secondary metrics, for each arm. Guardrails are judged individually, because missing harm is the
/// worse mistake.
/// </summary>
internal sealed class AdjustedTests
{
    private readonly Dictionary<(long Link, int Index), AdjustedPValues> _tests;

    public AdjustedTests(IEnumerable<(MeasuredMetric Metric, List<ComparedMetricArm>? Arms)> family)
    {
        var arms = family
            .Where(pair => pair.Arms is not null)
            .SelectMany(pair => pair.Arms!.Select((arm, index) => (Key: (pair.Metric.Link, index), Arm: arm)))
            .ToList();
        // Comparisons that cannot be tested yet still count towards the family.
        double[] once = [.. arms.Select(test => test.Arm.Reason is null ? test.Arm.Comparison.PValue : 1)];
        double[] always =
        [
            .. arms.Select(test => test.Arm.Reason is null ? test.Arm.Comparison.SequentialPValue : test.Arm.Share?.PValue ?? 1),
        ];
        var (holm, discovery, sequential) = (Adjustment.Holm(once), Adjustment.BenjaminiHochberg(once), Adjustment.Holm(always));
        _tests = arms.Index()
            .ToDictionary(
                test => test.Item.Key,
                test => new AdjustedPValues(holm[test.Index], discovery[test.Index], sequential[test.Index])
            );
    }

    /// <summary>Null if the metric is not part of a family.</summary>
    public AdjustedPValues? Of(long link, int index) => _tests.GetValueOrDefault((link, index));
}
