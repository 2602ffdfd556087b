namespace Experiments.Api.Statistics;

/// <summary>The beta function and its incomplete form, for positive arguments.</summary>
internal static class BetaFunction
{
    /// <summary>ln B(a, b).</summary>
    public static double Log(double a, double b) => GammaFunction.Log(a) + GammaFunction.Log(b) - GammaFunction.Log(a + b);

    /// <summary>
    /// P(X ≤ x) and P(X > x) of a Beta(a, b) distribution, each computed as a tail where it is the smaller one; DLMF 8.17.
    /// </summary>
    public static (double Lower, double Upper) Tails(double x, double a, double b)
    {
        if (x is <= 0 or >= 1)
        {
            return x <= 0 ? (0, 1) : (1, 0);
        }

        var front = Math.Exp((a * Math.Log(x)) + (b * Math.Log(1 - x)) - Log(a, b));
        if (x < a / (a + b))
        {
            var lower = front * ContinuedFraction.Beta(x, 1 - x, a, b);
            return (lower, 1 - lower);
        }

        var upper = front * ContinuedFraction.Beta(1 - x, x, b, a);
        return (1 - upper, upper);
    }
}
