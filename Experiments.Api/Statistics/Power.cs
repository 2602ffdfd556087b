namespace Experiments.Api.Statistics;

/// <summary>How large an experiment must be to see an effect, and how large an effect it can see.</summary>
/// <remarks>
/// For a two-sided test of a relative effect e with n identities an arm of mean μ and variance v: σ² = v / (n μ²) + v (1 + e)² / (n μ²),
/// power = 1 - Φ(z - e/σ) + Φ(-z - e/σ), z = z_(1 - α/2). A sequential test needs σ times z_seq / z, where z_seq is the half-width of its
/// sequence at n identities an arm in units of the standard error; that is the convention of GrowthBook (power.ts), whose published
/// values it reproduces. Checked against 50-digit values.
/// </remarks>
internal sealed record Power(double Mean, double Variance, double Alpha, double? Tuning)
{
    private double Z => -Normal.Quantile(Alpha / 2);

    /// <summary>The chance to find the effect with so many identities an arm.</summary>
    public double At(double n, double effect)
    {
        var sigma = Math.Sqrt(((Variance / n) + (Variance / n * (1 + effect) * (1 + effect))) / (Mean * Mean)) * Widening(n);
        var z = Z;
        return Normal.UpperTail(z - (effect / sigma)) + Normal.Cdf(-z - (effect / sigma));
    }

    /// <summary>
    /// The smallest number of identities an arm, two at least, that finds the effect with this power; null when no number does.
    /// </summary>
    public long? SampleSize(double effect, double power)
    {
        const long Largest = 1L << 52;
        long low = 1,
            high = 2;
        while (At(high, effect) < power)
        {
            if (high >= Largest)
            {
                return null;
            }

            (low, high) = (high, high * 2);
        }

        while (high - low > 1)
        {
            var middle = low + ((high - low) / 2);
            (low, high) = At(middle, effect) < power ? (middle, high) : (low, middle);
        }

        return high;
    }

    /// <summary>
    /// The smallest relative rise that so many identities an arm find with this power; null when they find none, however large.
    /// </summary>
    public double? MinimumDetectableEffect(double n, double power)
    {
        var k = Z + Normal.Quantile(power);
        var widening = Widening(n);
        // The larger root of (μ_B - μ)² = K² (v/n) (1 + μ_B²/μ²), less one, without the difference of two that are nearly the same.
        var r = k * k * Variance * widening * widening / n / (Mean * Mean);
        return r < 1 ? (Math.Sqrt((2 * r) - (r * r)) + r) / (1 - r) : null;
    }

    private double Widening(double n)
    {
        if (Tuning is not { } tuning)
        {
            return 1;
        }

        var log = -2 * Math.Log(Alpha);
        var rho2 = (log + Math.Log(1 + log)) / tuning;
        var both = 2 * n;
        var scale = (both * rho2) + 1;
        return Math.Sqrt(both) * Math.Sqrt(2 * scale / (both * both * rho2) * ((Math.Log(scale) / 2) - Math.Log(Alpha))) / Z;
    }
}
