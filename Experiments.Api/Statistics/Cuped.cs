namespace Experiments.Api.Statistics;

/// <summary>An effect from which the part that was there before the experiment is taken.</summary>
/// <param name="Theta">How much of the covariate is taken off: cov(y, x) / var(x) over both arms as one sample; 0 when either does not vary.</param>
/// <param name="Effect">The effect that is left.</param>
/// <remarks>
/// y - θx in place of y: A. Deng et al., Improving the sensitivity of online controlled experiments by utilizing pre-experiment
/// data (WSDM 2013). The variance of one identity is s_y² + θ² s_x² - 2θ s_xy. A relative effect is relative to the unadjusted
/// mean of control, which the adjustment must not move, and its variance is
/// (s_y,T² + θ² s_x,T² - 2θ s_xy,T) / (n_T ȳ_C²) + (s_y,C² ȳ_T² / ȳ_C² - 2θ s_xy,C ȳ_T / ȳ_C + θ² s_x,C²) / (n_C ȳ_C²).
/// Assumes that the covariate is from before the exposure. Checked against 50-digit values.
/// </remarks>
internal sealed record Cuped(double Theta, Effect Effect)
{
    public static Cuped Between(ArmSums control, ArmSums treatment, bool relative)
    {
        var pooled = control + treatment;
        var ofX = Unit.Covariance(pooled.N, pooled.CovariateSum, pooled.CovariateSum, pooled.CovariateSumSquares);
        var ofY = Unit.Covariance(pooled.N, pooled.Sum, pooled.Sum, pooled.SumSquares);
        var theta = ofX > 0 && ofY > 0 ? Unit.Covariance(pooled.N, pooled.Sum, pooled.CovariateSum, pooled.CovariateCrossSum) / ofX : 0;
        var (c, t) = (Adjust(control, theta), Adjust(treatment, theta));
        var plain = Effect.Between(c, t, relative: false);
        if (!relative)
        {
            return new(theta, plain);
        }

        var (meanC, meanT) = (control.Sum / control.N, treatment.Sum / treatment.N);
        var baseline = Math.Abs(meanC);
        var ratio = meanT / meanC;
        var ofControl = (Variance(control) * ratio * ratio) - (2 * theta * Shared(control) * ratio) + (theta * theta * Covariate(control));
        var variance = ((t.Variance / t.N) + (ofControl / c.N)) / (baseline * baseline);
        return new(theta, new(plain.Value / baseline, Math.Max(0, variance), plain.DegreesOfFreedom, plain.N, baseline));
    }

    private static Unit Adjust(ArmSums arm, double theta) => new(
        arm.N, (arm.Sum - (theta * arm.CovariateSum)) / arm.N, Math.Max(0, Variance(arm) + (theta * theta * Covariate(arm)) - (2 * theta * Shared(arm))));

    private static double Variance(ArmSums arm) => Unit.Covariance(arm.N, arm.Sum, arm.Sum, arm.SumSquares);

    private static double Covariate(ArmSums arm) => Unit.Covariance(arm.N, arm.CovariateSum, arm.CovariateSum, arm.CovariateSumSquares);

    private static double Shared(ArmSums arm) => Unit.Covariance(arm.N, arm.Sum, arm.CovariateSum, arm.CovariateCrossSum);
}
