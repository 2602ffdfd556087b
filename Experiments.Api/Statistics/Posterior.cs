namespace Experiments.Api.Statistics;

/// <summary>What is believed of one arm after its data: a distribution with a density and two tails.</summary>
internal interface IPosterior
{
    double Mean { get; }

    /// <summary>Where the density begins on the left.</summary>
    double Start => 0;

    /// <summary>Where the density ends on the right.</summary>
    double End { get; }

    double StandardDeviation { get; }

    double Density(double x);

    /// <summary>
    /// The logarithm of the density, less a constant, which is there still where the density itself is too small to be told from zero.
    /// </summary>
    double LogDensity(double x);

    /// <summary>P(X ≤ x) and P(X > x), each as itself.</summary>
    (double Lower, double Upper) Tails(double x);
}

/// <summary>Beta(1 + successes, 1 + failures): the chance of a conversion, from a flat prior.</summary>
internal sealed class BetaPosterior(double n, double successes) : IPosterior
{
    private readonly double _a = 1 + successes;
    private readonly double _b = 1 + n - successes;

    public double Mean => _a / (_a + _b);

    public double End => 1;

    public double StandardDeviation => Math.Sqrt(_a * _b / (_a + _b + 1)) / (_a + _b);

    public double Density(double x) => (_a + _b - 1) * Deviance.Binomial(_a - 1, _a + _b - 2, x);

    public double LogDensity(double x) => ((_a - 1) * Math.Log(Math.Max(x, 1e-300))) + ((_b - 1) * Math.Log(Math.Max(1 - x, 1e-300)));

    public (double Lower, double Upper) Tails(double x)
    {
        if (x is <= 0 or >= 1)
        {
            return x <= 0 ? (0, 1) : (1, 0);
        }

        var front = Density(x) * x * (1 - x);
        if (x < Mean)
        {
            var lower = front * ContinuedFraction.Beta(x, 1 - x, _a, _b);
            return (lower, 1 - lower);
        }

        var upper = front * ContinuedFraction.Beta(1 - x, x, _b, _a);
        return (1 - upper, upper);
    }
}

/// <summary>Gamma with shape 1 + sum and rate 1 + n: events per identity, from a flat-tailed prior.</summary>
internal sealed class GammaPosterior(double n, double sum) : IPosterior
{
    private readonly double _shape = 1 + sum;
    private readonly double _rate = 1 + n;

    public double Mean => _shape / _rate;

    public double End => double.PositiveInfinity;

    public double StandardDeviation => Math.Sqrt(_shape) / _rate;

    public double Density(double x) => _rate * Deviance.Poisson(_shape - 1, x * _rate);

    public double LogDensity(double x) => ((_shape - 1) * Math.Log(Math.Max(x, 1e-300))) - (x * _rate);

    public (double Lower, double Upper) Tails(double x)
    {
        if (x <= 0)
        {
            return (0, 1);
        }

        var y = x * _rate;
        var front = Deviance.Poisson(_shape, y);
        if (y < _shape + 1)
        {
            // P(a, y) = y^a e^-y / Γ(a + 1) · Σ y^k / ((a + 1) … (a + k)), DLMF 8.7.1.
            var (term, series) = (1.0, 1.0);
            for (var k = 1; term > series * 1e-17; k++)
            {
                term *= y / (_shape + k);
                series += term;
            }

            return (front * series, 1 - (front * series));
        }

        var upper = front * _shape * ContinuedFraction.Gamma(_shape, y);
        return (1 - upper, upper);
    }
}

/// <summary>N(mean, σ²): what is believed of the mean of an arm, from a flat prior.</summary>
internal sealed class MeanPosterior(double mean, double standardDeviation) : IPosterior
{
    public double Mean => mean;

    public double Start => double.NegativeInfinity;

    public double End => double.PositiveInfinity;

    public double StandardDeviation => standardDeviation;

    public double Density(double x) => Normal.Density((x - mean) / standardDeviation) / standardDeviation;

    public double LogDensity(double x) => -(x - mean) * (x - mean) / (2 * standardDeviation * standardDeviation);

    public (double Lower, double Upper) Tails(double x)
    {
        var z = (x - mean) / standardDeviation;
        return (Normal.UpperTail(-z), Normal.UpperTail(z));
    }
}
