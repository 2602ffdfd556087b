namespace Experiments.Api.Statistics;

/// <summary>What is believed of an effect after the data.</summary>
/// <remarks>
/// The likelihood is N(Δ, V). A proper prior N(m, s²) on the relative effect adds its precision: 1/σ² = 1/V + 1/s² and
/// μ = (Δ/V + m/s²) σ²; without one it is flat. For an absolute effect the prior is scaled by the mean of control. The chance to win
/// is P(effect > 0), computed as a tail, and the losses are those of N. Stucchio (2015): of keeping control
/// E[max(X, 0)] = μ Φ(μ/σ) + σ φ(μ/σ), of shipping E[max(-X, 0)]. Checked against 50-digit values.
/// </remarks>
internal sealed record NormalPosterior(double Mean, double StandardDeviation)
{
    public static NormalPosterior Of(Effect effect, bool relative, (double Mean, double Variance)? prior)
    {
        if (prior is not { } proper)
        {
            return new(effect.Value, effect.StandardError);
        }

        var scale = relative ? 1 : effect.Baseline;
        var precision = (1 / effect.Variance) + (1 / (proper.Variance * scale * scale));
        return new(((effect.Value / effect.Variance) + (proper.Mean / (proper.Variance * scale))) / precision, Math.Sqrt(1 / precision));
    }

    /// <summary>P(effect > 0); where lower is better, P(effect &lt; 0).</summary>
    public double ChanceToWin(bool higherIsBetter) => Normal.UpperTail((higherIsBetter ? -Mean : Mean) / StandardDeviation);

    public Interval Interval(double alpha)
    {
        var width = -Normal.Quantile(alpha / 2) * StandardDeviation;
        return new(Mean - width, Mean + width);
    }

    /// <summary>What keeping control, and what shipping the treatment, is expected to cost, in units of the effect.</summary>
    public (double Keeping, double Shipping) ExpectedLoss(bool higherIsBetter)
    {
        var (up, down) = (Above(Mean), Above(-Mean));
        return higherIsBetter ? (up, down) : (down, up);
    }

    // E[max(X, 0)] where X is N(mean, σ²).
    private double Above(double mean)
    {
        var z = mean / StandardDeviation;
        if (z >= -5)
        {
            return (mean * Normal.UpperTail(-z)) + (StandardDeviation * Normal.Density(z));
        }

        // φ(z) + z Φ(z) is the small difference of two that are nearly the same. By Mills' ratio as a continued fraction it is
        // φ(z) (1 - |z| m(|z|)), whose second factor is computed by itself: with m = 1/(u + 1/(u + 2/(u + ...))) and
        // w = 1/(u + 2/(u + 3/...)), 1 - u m = w / (u + w).
        var u = -z;
        var tail = 0.0;
        for (var k = 200; k >= 2; k--)
        {
            tail = k / (u + tail);
        }

        var w = 1 / (u + tail);
        return StandardDeviation * Normal.Density(z) * w / (u + w);
    }
}
