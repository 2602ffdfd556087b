namespace Experiments.Api.MetricDefinitions;

/// <summary>
/// Where the values of a metric stand among the numbers of an identity. Each metric has as many numbers as it needs, one after the other in
/// the order in which the metrics were attached, so that the place of a metric never changes.
/// </summary>
/// <param name="Y">The index of the value.</param>
/// <param name="D">The index of the denominator, or null.</param>
/// <param name="X">The index of the covariate, or null.</param>
/// <param name="Steps">The index of the steps of a funnel, or null.</param>
/// <param name="NotNumbers">The index of the number of events without a number, or null.</param>
/// <param name="Waiting">The index of whether the identity waits for its window, or null.</param>
/// <param name="W">The index of the covariate of the denominator, or null.</param>
/// <param name="End">The index after the last of them.</param>
internal sealed record MetricLayout(int Y, int? D, int? X, int? Steps, int? NotNumbers, int? Waiting, int? W, int End)
{
    /// <param name="aggregation">The aggregation of the metric.</param>
    /// <param name="definition">Its definition.</param>
    /// <param name="start">The index at which the numbers of the metric begin.</param>
    public static MetricLayout Of(MetricAggregation aggregation, MetricDefinition definition, int start)
    {
        var next = start + 1;
        int? Take(bool isNeeded) => isNeeded ? next++ : null;
        var isRetention = aggregation == MetricAggregation.Retention;
        var d = Take(aggregation is MetricAggregation.Ratio or MetricAggregation.Mean || (isRetention && !definition.StartsAtExposure));
        var x = Take(definition.LookbackDays is not null);
        var steps = Take(aggregation == MetricAggregation.Funnel);
        var notNumbers = Take(MetricFormula.Numeric(aggregation, definition).Any(isNumeric => isNumeric));
        var waiting = Take(isRetention && !definition.StartsAtExposure && definition.Maturity != MetricDefinition.AllIdentities);
        var w = Take(x is not null && d is not null);
        return new(start, d, x, steps, notNumbers, waiting, w, next);
    }

    /// <summary>Reads the value from the numbers of an identity, which may be fewer if the metric was attached later.</summary>
    public MetricValue Read(double[] numbers)
    {
        return Y >= numbers.Length ? default : new(numbers[Y], At(D), At(X), (int)At(Steps), (int)At(NotNumbers), (int)At(Waiting), At(W));

        double At(int? index) => index is { } at && at < numbers.Length ? numbers[at] : 0;
    }

    public void Write(MetricValue value, double[] numbers)
    {
        numbers[Y] = value.Y;
        Set(D, value.D);
        Set(X, value.X);
        Set(Steps, value.Steps);
        Set(NotNumbers, value.NotNumbers);
        Set(Waiting, value.Waiting);
        Set(W, value.W);

        void Set(int? index, double number)
        {
            if (index is { } at)
            {
                numbers[at] = number;
            }
        }
    }
}
