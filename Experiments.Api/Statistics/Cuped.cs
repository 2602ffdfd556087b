namespace Experiments.Api.Statistics;

/// <summary>An effect from which the part that was there before the experiment is taken.</summary>
/// <param name="Theta">How much of the covariate is taken off: cov(y, x) / var(x) over both arms as one sample; 0 when either does not
/// vary.</param>
/// <param name="Effect">The effect that is left.</param>
/// <param name="Cautious">The same with the larger of Welch's and the pooled variance.</param>
/// <remarks>
/// y - θx in place of y: A. Deng et al., Improving the sensitivity of online controlled experiments by utilizing pre-experiment
/// data (WSDM 2013). The variance of one identity is s_y² + θ² s_x² - 2θ s_xy. A relative effect is relative to the unadjusted
/// mean of control, which the adjustment must not move; that mean has the variance s_y,C² / n_C and, with the adjusted difference,
/// the covariance -(s_y,C² - θ s_xy,C) / n_C. Assumes that the covariate is from before the exposure. Checked against 50-digit values.
/// </remarks>
internal sealed record Cuped(double Theta, Effect Effect, Effect Cautious)
{
    // What is left of a variance by less than this share of what it is the difference of is rounding.
    private const double Rounding = 1e-12;

    public static Cuped Between(SufficientStatistics control, SufficientStatistics treatment)
    {
        var pooled = CentredSums.Together(control, treatment);
        var theta = pooled is { XX: > 0, YY: > 0 } ? pooled.YX / pooled.XX : 0;
        var (c, t) = (Adjust(control, theta), Adjust(treatment, theta));
        var mean = new ControlMean(
            control.Sum / control.N,
            Variance(control) / control.N,
            ((theta * Shared(control)) - Variance(control)) / control.N
        );
        return new(theta, Effect.Between(c, t) with { Control = mean }, Effect.Cautiously(c, t) with { Control = mean });
    }

    /// <summary>The adjusted means of several arms, with one θ for all of them; relative to the mean of the covariate over all.</summary>
    public static List<SampleMoments> Adjusted(IReadOnlyList<SufficientStatistics> arms)
    {
        var all = arms.Aggregate((one, other) => one + other);
        var centred = all.Centred;
        var theta = centred is { XX: > 0, YY: > 0 } ? centred.YX / centred.XX : 0;
        return
        [
            .. arms.Select(arm => Adjust(arm, theta)).Select(unit => unit with { Mean = unit.Mean + (theta * all.CovariateSum / all.N) }),
        ];
    }

    private static SampleMoments Adjust(SufficientStatistics arm, double theta)
    {
        var (ofY, ofX, both) = (Variance(arm), theta * theta * Covariate(arm), 2 * theta * Shared(arm));
        var left = ofY + ofX - both;
        return new(arm.N, (arm.Sum - (theta * arm.CovariateSum)) / arm.N, left > Rounding * (ofY + ofX + Math.Abs(both)) ? left : 0);
    }

    private static double Variance(SufficientStatistics arm) => SampleMoments.PerIdentity(arm.N, arm.Centred.YY);

    private static double Covariate(SufficientStatistics arm) => SampleMoments.PerIdentity(arm.N, arm.Centred.XX);

    private static double Shared(SufficientStatistics arm) => SampleMoments.PerIdentity(arm.N, arm.Centred.YX);
}
