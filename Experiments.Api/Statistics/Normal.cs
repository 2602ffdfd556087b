namespace Experiments.Api.Statistics;

/// <summary>The standard normal distribution.</summary>
/// <remarks>
/// Tails are computed as tails: P(X > x) = erfc(x / √2) / 2 is accurate down to 1e-300, where 1 - Φ(x) is 0. Tested against values with
/// 50 digits.
/// </remarks>
internal static class Normal
{
    private static readonly double Root2 = Math.Sqrt(2);
    private static readonly double RootPi = Math.Sqrt(Math.PI);
    private static readonly double Root2Pi = Math.Sqrt(2 * Math.PI);

    public static double Density(double x) => Math.Exp(-x * x / 2) / Root2Pi;

    /// <summary>P(X ≤ x).</summary>
    public static double Cdf(double x) => Erfc(-x / Root2) / 2;

    /// <summary>P(X > x).</summary>
    public static double UpperTail(double x) => Erfc(x / Root2) / 2;

    /// <summary>The x with P(X ≤ x) = <paramref name="p"/>, 0 &lt; p &lt; 1.</summary>
    public static double Quantile(double p)
    {
        if (p > 0.5)
        {
            return -Quantile(1 - p);
        }

        // Hastings' approximation (Abramowitz and Stegun 26.2.23) has three digits. Each step of Halley's method triples them.
        var t = Math.Sqrt(-2 * Math.Log(p));
        var x = ((2.515517 + (t * (0.802853 + (t * 0.010328)))) / (1 + (t * (1.432788 + (t * (0.189269 + (t * 0.001308))))))) - t;
        for (var i = 0; i < 3 && Density(x) is > 0 and var density; i++)
        {
            // Relative to p, so that it also works for 1e-300.
            var step = ((Cdf(x) / p) - 1) * (p / density);
            x -= step / (1 + (x * step / 2));
        }

        return x;
    }

    /// <summary>erfc(x) = Q(1/2, x²) for x > 0.</summary>
    private static double Erfc(double x)
    {
        if (x < 0)
        {
            return 2 - Erfc(-x);
        }

        var square = x * x;
        if (square < 1.5)
        {
            // erf(x) = 2x/√π Σ (-x²)^k / (k! (2k + 1)); DLMF 7.6.1. Below √1.5, erfc is not small beside 1.
            var (sum, power) = (1.0, 1.0);
            for (var k = 1; k < 40; k++)
            {
                power *= -square / k;
                sum += power / ((2 * k) + 1);
            }

            return 1 - (2 * x / RootPi * sum);
        }

        if (double.IsInfinity(square))
        {
            return 0;
        }

        // e^-x² is taken apart, because rounding x² costs as many digits as x² has.
        var coarse = Math.Floor(x * 16) / 16;
        var exponential = Math.Exp(-coarse * coarse) * Math.Exp(-(x - coarse) * (x + coarse));
        return x * exponential / RootPi * ContinuedFraction.Gamma(0.5, square);
    }
}
