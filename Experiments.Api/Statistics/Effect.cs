namespace Experiments.Api.Statistics;

/// <summary>By how much the mean of a treatment differs from the mean of control, and how well that is known.</summary>
/// <param name="Value">ȳ_T - ȳ_C, in units of the metric.</param>
/// <param name="Variance">The square of its standard error.</param>
/// <param name="DegreesOfFreedom">Welch and Satterthwaite's.</param>
/// <param name="N">The identities of both arms.</param>
/// <param name="Control">The mean of control, which a relative effect is relative to.</param>
/// <remarks>
/// "No difference" and "no relative effect" are the same hypothesis, so every test, chance and loss rests on this difference. The
/// ratio to control is only a way to show it, with the intervals of <see cref="Fieller"/>: a test on the ratio by the delta method
/// has a variance that depends on which way the data happen to point, and errs up to ten times as often as it says.
/// </remarks>
internal sealed record Effect(double Value, double Variance, double DegreesOfFreedom, double N, ControlMean Control)
{
    public double StandardError => Math.Sqrt(Variance);

    /// <summary>The difference in proportion to the size of control's mean; null where that is 0.</summary>
    public double? Relative => Value / Math.Abs(Control.Value) is var relative && double.IsFinite(relative) ? relative : null;

    /// <remarks>
    /// V = v_T / n_T + v_C / n_C. ν = (v_T/n_T + v_C/n_C)² / ((v_T/n_T)²/(n_T - 1) + (v_C/n_C)²/(n_C - 1)). Assumes independent arms
    /// and means that are nearly normal. B. L. Welch, Biometrika 34 (1947) 28-35. Checked against 50-digit values and R's t.test.
    /// </remarks>
    public static Effect Between(SampleMoments control, SampleMoments treatment)
    {
        var (c, t) = (control.Variance / control.N, treatment.Variance / treatment.N);
        return new(
            treatment.Mean - control.Mean,
            t + c,
            Satterthwaite(control, treatment),
            control.N + treatment.N,
            new(control.Mean, c, -c)
        );
    }

    /// <summary>
    /// The distance from a margin, a share of the size of control's mean: Δ + m |ȳ_C|, which is ȳ_T - (1 - m) ȳ_C for a positive mean. Its
    /// variance is V + 2 m c + m² A, with A the variance of control's mean and c its covariance with Δ, so that a test of it agrees with
    /// Fieller's interval of the relative effect.
    /// </summary>
    /// <param name="margin">m; negative for an effect that must stay below it.</param>
    public Effect Beyond(double margin)
    {
        var share = margin * Math.Sign(Control.Value);
        return this with
        {
            Value = Value + (share * Control.Value),
            Variance = Math.Max(0, Variance + (2 * share * Control.Covariance) + (share * share * Control.Variance)),
        };
    }

    private const double Rounding = 1e-9;

    /// <summary>The same with the larger of Welch's and the pooled variance, for whatever is to hold at any number of looks.</summary>
    /// <remarks>
    /// Pooled: v = (n_C v_C + n_T v_T) / (n_C + n_T) in both arms, which is the same where the arms are equally large. Where they are
    /// not, and values are skewed, the variance of the small arm is seen too small for as long as it has not met a large value, and a
    /// test by Welch's errs up to 15 % at a level of 5 % when it is looked at often (docs/statistics.md, Simulations).
    /// </remarks>
    public static Effect Cautiously(SampleMoments control, SampleMoments treatment)
    {
        var pooled = ((control.N * control.Variance) + (treatment.N * treatment.Variance)) / (control.N + treatment.N);
        var welch = (control.Variance / control.N) + (treatment.Variance / treatment.N);
        // In arms of the same size the two differ by rounding only, which must not decide.
        return (pooled / control.N) + (pooled / treatment.N) > welch * (1 + Rounding)
            ? Between(control with { Variance = pooled }, treatment with { Variance = pooled })
            : Between(control, treatment);
    }

    private static double Satterthwaite(SampleMoments control, SampleMoments treatment)
    {
        var (c, t) = (control.Variance / control.N, treatment.Variance / treatment.N);
        // In proportion to the larger, so that nothing underflows.
        var (shareC, shareT) = (c / Math.Max(c, t), t / Math.Max(c, t));
        return (shareT + shareC) * (shareT + shareC) / ((shareT * shareT / (treatment.N - 1)) + (shareC * shareC / (control.N - 1)));
    }
}

/// <summary>The mean of control, the variance of that mean, and its covariance with the difference that is shown relative to it.</summary>
internal readonly record struct ControlMean(double Value, double Variance, double Covariance);
