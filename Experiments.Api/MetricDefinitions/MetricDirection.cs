namespace Experiments.Api.MetricDefinitions;

/// <summary>Which values of a metric are better.</summary>
internal enum MetricDirection
{
    Up,
    Down,
    Informational,
}

/// <summary>What an experiment expects of a metric. The last two make it a guardrail.</summary>
internal enum ExpectedDirection
{
    Increase,
    Decrease,
    NotIncrease,
    NotDecrease,
}
