namespace Experiments.Api.Statistics;

/// <summary>A test that may be read at any time, and as often as one likes, and still errs no more than it says.</summary>
/// <remarks>
/// The asymptotic confidence sequence of I. Waudby-Smith et al., arXiv 2103.06476 (2023): half-width √(V N) · √(2 (Nρ² + 1) / (Nρ)²
/// · ln(√(Nρ² + 1) / α)) with ρ² = (-2 ln α + ln(1 - 2 ln α)) / N*; N* (the tuning) is the number of identities in both arms at
/// which it is narrowest. p = min(1, √(Nρ² + 1) · exp(-ρ² Δ² N / V / (2 (Nρ² + 1)))). One-sided: ρ from 2α, half-width with
/// ln(1 + √(Nρ² + 1) / (2α)), and p = min(1, √(Nρ² + 1) / (2 (e^x - 1))), which is that bound solved for α with ρ held fixed.
/// Holds as the arms grow; with very few identities it is as rough as any normal approximation. Eppo's form of Howard et al.
/// (2021) is the same with r = 1/ρ². Checked against 50-digit values.
/// </remarks>
internal static class ConfidenceSequence
{
    public const double DefaultTuning = 5000;

    public static double PValue(Effect effect, Alternative alternative, double alpha, double tuning)
    {
        var (rho2, _) = Rho2(alternative, alpha, tuning);
        var scale = (effect.N * rho2) + 1;
        var x = rho2 * effect.Value / effect.Variance * effect.Value * effect.N / (2 * scale);
        if (alternative == Alternative.TwoSided)
        {
            return Math.Min(1, Math.Exp((Math.Log(scale) / 2) - x));
        }

        var points = x > 0 && (alternative == Alternative.Greater ? effect.Value > 0 : effect.Value < 0);
        // 1 / (e^x - 1) = e^-x / (1 - e^-x), which does not overflow.
        return points ? Math.Min(1, Math.Exp((Math.Log(scale) / 2) - x) / (2 * -ExpM1(-x))) : 1;
    }

    public static Interval Interval(Effect effect, Alternative alternative, double alpha, double tuning) =>
        FixedHorizon.Bounds(effect.Value, Multiplier(effect.N, alternative, alpha, tuning) * effect.StandardError, alternative);

    /// <summary>The half-width of the interval in standard errors, where both arms have <paramref name="n"/> identities together.</summary>
    public static double Multiplier(double n, Alternative alternative, double alpha, double tuning)
    {
        var (rho2, level) = Rho2(alternative, alpha, tuning);
        var scale = (n * rho2) + 1;
        var log = alternative == Alternative.TwoSided ? (Math.Log(scale) / 2) - Math.Log(alpha) : Math.Log(1 + (Math.Sqrt(scale) / level));
        return Math.Sqrt(2 * scale / (n * rho2) * log);
    }

    // e^x - 1 for x below zero, of which nothing is lost near zero.
    private static double ExpM1(double x) =>
        x > -1e-5 ? x + (x * x / 2) + (x * x * x / 6)
        : x < -40 ? -1
        : Math.Exp(x / 2) * 2 * Math.Sinh(x / 2);

    private static (double Rho2, double Level) Rho2(Alternative alternative, double alpha, double tuning)
    {
        var level = alternative == Alternative.TwoSided ? alpha : 2 * alpha;
        var log = -2 * Math.Log(level);
        return ((log + Math.Log(1 + log)) / tuning, level);
    }
}
