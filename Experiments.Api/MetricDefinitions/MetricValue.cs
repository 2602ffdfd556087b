namespace Experiments.Api.MetricDefinitions;

/// <summary>What a metric is for one identity.</summary>
/// <param name="Y">The metric; of a ratio the numerator; 0 or 1 for what happens or does not.</param>
/// <param name="D">The denominator of a ratio, and for retention whether there was anything to come back to.</param>
/// <param name="X">The metric in the time before the first exposure; of a ratio, its numerator.</param>
/// <param name="Steps">How many steps of a funnel were passed.</param>
/// <param name="NotNumbers">How many of its events have no number where there should be one.</param>
/// <param name="Waiting">1 if it will count once its retention window is over, or else 0.</param>
/// <param name="W">Of a ratio, its denominator in the time before the first exposure.</param>
internal readonly record struct MetricValue(double Y, double D, double X, int Steps, int NotNumbers = 0, int Waiting = 0, double W = 0)
{
    public bool IsZero => this == default;
}
