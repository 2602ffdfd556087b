namespace Experiments.Api.MetricDefinitions;

/// <summary>How the value of an identity follows from its events.</summary>
internal enum MetricAggregation
{
    Occurrence,
    Count,
    Sum,
    Mean,
    Ratio,
    Funnel,
    Retention,
}
