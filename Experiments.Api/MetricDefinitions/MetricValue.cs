namespace Experiments.Api.MetricDefinitions;

/// <summary>What a metric is for one identity.</summary>
/// <param name="Y">The metric; of a ratio the numerator; 0 or 1 for what happens or does not.</param>
/// <param name="D">The denominator of a ratio, and for retention whether there was anything to come back to.</param>
/// <param name="X">The metric in the time before the first exposure.</param>
/// <param name="Steps">How many steps of a funnel were passed.</param>
internal readonly record struct MetricValue(double Y, double D, double X, int Steps)
{
    public bool IsZero => Y == 0 && D == 0 && X == 0 && Steps == 0;
}
