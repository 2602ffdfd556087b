namespace Experiments.Api.Statistics;

/// <summary>The gamma function and its incomplete form, for positive arguments.</summary>
/// <remarks>
/// Everything starts from δ(n) = ln n! - ln(√(2πn) (n/e)^n), the error of Stirling's formula (DLMF 5.11.1), so that terms of the size of n
/// ln n are never subtracted from each other.
/// </remarks>
internal static class GammaFunction
{
    private const double Enough = 1e-17;

    private static readonly double HalfLogOfTwoPi = Math.Log(2 * Math.PI) / 2;

    /// <summary>δ(n) for real n > 0.</summary>
    public static double StirlingError(double n)
    {
        // δ(n) - δ(n + 1) = (n + 1/2) ln(1 + 1/n) - 1. From 16 on, five terms of the series are exact to the last digit.
        var sum = 0.0;
        for (; n < 16; n++)
        {
            sum += ((n + 0.5) * Math.Log((n + 1) / n)) - 1;
        }

        var square = n * n;
        return sum
            + (((1.0 / 12) - (((1.0 / 360) - (((1.0 / 1260) - (((1.0 / 1680) - (1.0 / 1188 / square)) / square)) / square)) / square)) / n);
    }

    /// <summary>ln Γ(a).</summary>
    public static double Log(double a) => ((a - 0.5) * Math.Log(a)) - a + HalfLogOfTwoPi + StirlingError(a);

    /// <summary>Q(a, x) = Γ(a, x) / Γ(a), the upper tail of the gamma distribution; DLMF 8.7.1 and 8.9.2.</summary>
    public static double UpperRegularized(double a, double x)
    {
        if (x <= 0)
        {
            return 1;
        }

        // x^a e^-x / Γ(a)
        var front = Math.Exp((a * Math.Log(x)) - x - Log(a));
        if (x > a + 1)
        {
            return front * ContinuedFraction.Gamma(a, x);
        }

        var (sum, term) = (1 / a, 1 / a);
        for (var k = 1; term > Enough * sum; k++)
        {
            term *= x / (a + k);
            sum += term;
        }

        return 1 - (front * sum);
    }
}
