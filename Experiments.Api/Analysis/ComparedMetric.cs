namespace Experiments.Api.Analysis;

/// <summary>A metric with the comparison of each treatment, or null if it could not be computed.</summary>
internal sealed record ComparedMetric(MeasuredMetric Metric, IReadOnlyList<ComparedMetricArm>? Arms)
{
    /// <summary>Whether any identity has a value. A metric without data is no member of a family.</summary>
    public bool HasData => Arms is not null && Metric.Sums.Any(arm => arm.NonZero != 0 || arm.DenominatorNonZero != 0);
}
