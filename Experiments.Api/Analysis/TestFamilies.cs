using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>The p-values of one treatment by one metric, adjusted for the number of tests in its family.</summary>
/// <param name="Holm">The one-look p-value after Holm's adjustment.</param>
/// <param name="BenjaminiHochberg">The one-look p-value after that of Benjamini and Hochberg.</param>
/// <param name="Sequential">The p-value at any number of looks, after Holm's adjustment.</param>
/// <param name="Safe">For a primary metric that must not get worse: the p-value of "safe", after Holm's adjustment.</param>
internal sealed record AdjustedPValues(double Holm, double BenjaminiHochberg, double Sequential, double Safe);

/// <summary>
/// The tests, in families that are adjusted separately: the primary metric by treatments, and after it the secondary metrics by treatments.
/// Guardrails are in no family, because missing harm is the worse mistake. Nor are treatments without weight and metrics without data, so
/// that attaching a metric that has no events takes no win away.
/// </summary>
internal sealed class TestFamilies
{
    private readonly Dictionary<(long Link, int Treatment), AdjustedPValues> _tests = [];
    private readonly ComparedMetric? _primary;

    /// <param name="metrics">All metrics.</param>
    /// <param name="hasWeight">Whether each treatment has a weight.</param>
    public TestFamilies(IReadOnlyList<ComparedMetric> metrics, IReadOnlyList<bool> hasWeight)
    {
        _primary = metrics.FirstOrDefault(metric => metric.Metric.Role == MetricRole.Primary);
        var members = metrics.Where(metric => metric.HasData && (!metric.Metric.IsGuardrail || metric.Metric.Role == MetricRole.Primary));
        foreach (var family in members.GroupBy(metric => metric.Metric.Role))
        {
            Adjust([
                .. family.SelectMany(metric =>
                    metric
                        .Arms!.Select((arm, treatment) => (Key: (metric.Metric.Link, treatment), Arm: arm))
                        .Where(test => hasWeight[test.Key.treatment])
                ),
            ]);
        }
    }

    /// <summary>Null if the test is in no family.</summary>
    public AdjustedPValues? Of(long link, int treatment) => _tests.GetValueOrDefault((link, treatment));

    /// <summary>
    /// Whether secondary metrics may win for this treatment: the primary metric is decided for it, or there is none
    /// (gatekeeping).
    /// </summary>
    public bool IsGateOpen(int treatment) =>
        _primary switch
        {
            null => true,
            { Metric.IsGuardrail: true } => Math.Min(
                Of(_primary.Metric.Link, treatment)?.Safe ?? 1,
                _primary.Arms?[treatment].Tests.Harmed ?? 1
            ) < SequentialTests.Alpha,
            _ => Of(_primary.Metric.Link, treatment)?.Sequential < SequentialTests.Alpha,
        };

    private void Adjust(List<((long, int) Key, ComparedMetricArm Arm)> tests)
    {
        // Comparisons that cannot be tested yet still count towards the family.
        double[] once = [.. tests.Select(test => test.Arm.Reason is null ? test.Arm.Comparison.PValue : 1)];
        var (holm, discovery) = (Adjustment.Holm(once), Adjustment.BenjaminiHochberg(once));
        var sequential = Adjustment.Holm([.. tests.Select(test => test.Arm.PValue)]);
        var safe = Adjustment.Holm([.. tests.Select(test => test.Arm.Tests.Safe)]);
        foreach (var (index, test) in tests.Index())
        {
            _tests.Add(test.Key, new(holm[index], discovery[index], sequential[index], safe[index]));
        }
    }
}
