namespace Experiments.Api.Statistics;

/// <summary>What is believed of the difference after the data.</summary>
/// <param name="Mean">Of the difference, in units of the metric.</param>
/// <param name="StandardDeviation">The same.</param>
/// <param name="Control">What is believed of the mean of control.</param>
/// <remarks>
/// The likelihood of the difference is N(Δ, V). A proper prior N(m, s²) stands on the relative effect; to act on the difference it is
/// scaled by the observed size of control's mean, a = |ȳ_C|, as if that were known: 1/σ² = 1/V + 1/(s a)² and μ = (Δ/V + m/(s² a)) σ².
/// Without one the prior is flat. What that teaches of control's mean follows from its covariance with the difference. The chance to win
/// is P(difference > 0), computed as a tail, and the losses are those of N. Stucchio (2015): of keeping control
/// E[max(X, 0)] = μ Φ(μ/σ) + σ φ(μ/σ), of shipping E[max(-X, 0)]. Checked against 50-digit values.
/// </remarks>
internal sealed record NormalPosterior(double Mean, double StandardDeviation, ControlMean Control)
{
    /// <summary>Null where there is a prior and control's mean, which would give it a scale, is 0.</summary>
    public static NormalPosterior? Of(Effect effect, (double Mean, double Variance)? prior)
    {
        if (prior is not { } proper)
        {
            return new(effect.Value, effect.StandardError, effect.Control);
        }

        var scale = Math.Abs(effect.Control.Value);
        if (scale == 0)
        {
            return null;
        }

        var precision = (1 / effect.Variance) + (1 / (proper.Variance * scale * scale));
        var mean = ((effect.Value / effect.Variance) + (proper.Mean / (proper.Variance * scale))) / precision;
        var share = effect.Control.Covariance / effect.Variance;
        return new(
            mean,
            Math.Sqrt(1 / precision),
            new(
                effect.Control.Value + (share * (mean - effect.Value)),
                effect.Control.Variance + (share * share * ((1 / precision) - effect.Variance)),
                share / precision
            )
        );
    }

    /// <summary>P(difference > 0); where lower is better, P(difference &lt; 0).</summary>
    public double ChanceToWin(bool higherIsBetter) => Normal.UpperTail((higherIsBetter ? -Mean : Mean) / StandardDeviation);

    public Interval Interval(double alpha)
    {
        var width = Multiplier(alpha) * StandardDeviation;
        return new(Mean - width, Mean + width);
    }

    /// <summary>
    /// The same in proportion to control's mean: with a flat prior exactly, since P(μ_T &lt; (1 + r) μ_C) is a tail of a normal
    /// distribution for every r.
    /// </summary>
    public Interval? RelativeInterval(double alpha) =>
        Fieller.Bounds(Mean, StandardDeviation * StandardDeviation, Control, Multiplier(alpha), Alternative.TwoSided);

    private static double Multiplier(double alpha) => -Normal.Quantile(alpha / 2);

    /// <summary>What keeping control, and what shipping the treatment, is expected to cost, in units of the metric.</summary>
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
