namespace Experiments.Api.Statistics;

/// <summary>By how much a treatment differs from control, and how well that is known.</summary>
/// <param name="Value">The difference of the means, or that difference in proportion to the mean of control.</param>
/// <param name="Variance">The square of its standard error.</param>
/// <param name="DegreesOfFreedom">Welch and Satterthwaite's, always from the variances of the arms.</param>
/// <param name="N">The identities of both arms.</param>
/// <param name="Baseline">The mean of control that a relative effect is relative to, without its sign.</param>
internal sealed record Effect(double Value, double Variance, double DegreesOfFreedom, double N, double Baseline)
{
    public double StandardError => Math.Sqrt(Variance);

    /// <remarks>
    /// Absolute: Δ = μ_T - μ_C, V = v_T / n_T + v_C / n_C. Relative: Δ = (μ_T - μ_C) / |μ_C| and, by the delta method,
    /// V = v_T / (n_T μ_C²) + v_C μ_T² / (n_C μ_C⁴). Assumes independent arms and means that are nearly normal; relative effects
    /// need a control mean that is many standard errors from nought. ν = (v_T/n_T + v_C/n_C)² / ((v_T/n_T)²/(n_T - 1) +
    /// (v_C/n_C)²/(n_C - 1)): B. L. Welch, Biometrika 34 (1947) 28-35. Checked against 50-digit values and R's t.test.
    /// </remarks>
    public static Effect Between(Unit control, Unit treatment, bool relative)
    {
        var (c, t) = (control.Variance / control.N, treatment.Variance / treatment.N);
        var baseline = Math.Abs(control.Mean);
        var difference = treatment.Mean - control.Mean;
        var freedom = Freedom(control, treatment);
        return relative
            ? new(difference / baseline, (t / (baseline * baseline)) + (c * treatment.Mean / baseline * treatment.Mean / baseline / baseline / baseline), freedom, control.N + treatment.N, baseline)
            : new(difference, t + c, freedom, control.N + treatment.N, baseline);
    }

    public static double Freedom(Unit control, Unit treatment)
    {
        var (c, t) = (control.Variance / control.N, treatment.Variance / treatment.N);
        // In proportion to the larger, so that nothing underflows.
        var (shareC, shareT) = (c / Math.Max(c, t), t / Math.Max(c, t));
        return (shareT + shareC) * (shareT + shareC) / ((shareT * shareT / (treatment.N - 1)) + (shareC * shareC / (control.N - 1)));
    }
}
