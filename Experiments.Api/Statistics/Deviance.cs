namespace Experiments.Api.Statistics;

/// <summary>Binomial and Poisson probabilities that keep their digits for counts of millions.</summary>
/// <remarks>
/// C. Loader, Fast and accurate computation of binomial probabilities (2000): Stirling's error and the deviance are computed by
/// themselves instead of as small differences of large logarithms.
/// </remarks>
internal static class Deviance
{
    /// <summary>n! p^k (1 - p)^(n - k) / (k! (n - k)!) for real k and n.</summary>
    public static double Binomial(double k, double n, double p)
    {
        if (p is <= 0 or >= 1)
        {
            return (p <= 0 && k == 0) || (p >= 1 && k == n) ? 1 : 0;
        }

        if (k == 0)
        {
            return n == 0 ? 1 : Math.Exp(p < 0.1 ? -Of(n, n * (1 - p)) - (n * p) : n * Math.Log(1 - p));
        }

        if (k == n)
        {
            return Math.Exp(p > 0.9 ? -Of(n, n * p) - (n * (1 - p)) : n * Math.Log(p));
        }

        var log =
            GammaFunction.StirlingError(n)
            - GammaFunction.StirlingError(k)
            - GammaFunction.StirlingError(n - k)
            - Of(k, n * p)
            - Of(n - k, n * (1 - p));
        return Math.Exp(log) * Math.Sqrt(n / (2 * Math.PI * k * (n - k)));
    }

    /// <summary>λ^k e^-λ / k! for real k.</summary>
    public static double Poisson(double k, double lambda) =>
        lambda <= 0 ? (k == 0 ? 1 : 0)
        : k == 0 ? Math.Exp(-lambda)
        : Math.Exp(-GammaFunction.StirlingError(k) - Of(k, lambda)) / Math.Sqrt(2 * Math.PI * k);

    // k ln(k / np) + np - k.
    private static double Of(double k, double np)
    {
        if (Math.Abs(k - np) >= 0.1 * (k + np))
        {
            return (k * Math.Log(k / np)) + np - k;
        }

        var v = (k - np) / (k + np);
        var sum = (k - np) * v;
        var term = 2 * k * v;
        for (var j = 1; ; j++)
        {
            term *= v * v;
            var next = sum + (term / ((2 * j) + 1));
            if (!(Math.Abs(next - sum) > 0))
            {
                return next;
            }

            sum = next;
        }
    }
}
