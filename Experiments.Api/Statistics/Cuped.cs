namespace Experiments.Api.Statistics;

/// <summary>An effect from which the part that was there before the experiment is taken.</summary>
/// <param name="Theta">How much of the covariates is taken off.</param>
/// <param name="Effect">The effect that is left.</param>
/// <param name="Cautious">The same with the larger of Welch's and the pooled variance.</param>
/// <remarks>
/// z - θx in place of z: A. Deng et al., Improving the sensitivity of online controlled experiments by utilizing pre-experiment
/// data (WSDM 2013). z is the value y of an identity; of a ratio it is (y - R d) / d̄, whose variance is that of the ratio by the delta
/// method, and there are two covariates: what its numerator and what its denominator were before. θ is the least-squares coefficient of z
/// on the covariates over both arms as one sample. The variance of one identity is s_z² + θ'Sθ - 2 θ's_z. A relative effect is relative to
/// the unadjusted mean of control, which the adjustment must not move; that mean has the variance s_z,C² / n_C and, with the adjusted
/// difference, the covariance -(s_z,C² - θ's_z,C) / n_C. Assumes that the covariates are from before the exposure. Checked against 50-digit
/// values.
/// </remarks>
internal sealed record Cuped(CupedTheta Theta, Effect Effect, Effect Cautious)
{
    // What is left of a variance by less than this share of what it is the difference of is rounding.
    private const double Rounding = 1e-12;

    public static Cuped Between(SufficientStatistics control, SufficientStatistics treatment, MetricKind kind = MetricKind.Mean)
    {
        var isRatio = kind == MetricKind.Ratio;
        var theta = CupedTheta.Of(Linear.Of(control + treatment, isRatio));
        var (ofControl, ofTreatment) = (Linear.Of(control, isRatio), Linear.Of(treatment, isRatio));
        var (c, t) = (Adjust(ofControl, theta), Adjust(ofTreatment, theta));
        var variance = SampleMoments.PerIdentity(control.N, ofControl.ZZ);
        var shared = SampleMoments.PerIdentity(control.N, theta.Shared(ofControl));
        var mean = new ControlMean(ofControl.Mean, variance / control.N, (shared - variance) / control.N);
        return new(theta, Effect.Between(c, t) with { Control = mean }, Effect.Cautiously(c, t) with { Control = mean });
    }

    /// <summary>The adjusted means of several arms, with one θ for all of them; relative to the mean of the covariates over all.</summary>
    public static List<SampleMoments> Adjusted(IReadOnlyList<SufficientStatistics> arms, MetricKind kind = MetricKind.Mean)
    {
        var isRatio = kind == MetricKind.Ratio;
        var all = Linear.Of(arms.Aggregate(SufficientStatistics.Add), isRatio);
        var theta = CupedTheta.Of(all);
        return
        [
            .. arms.Select(arm => Adjust(Linear.Of(arm, isRatio), theta))
                .Select(unit => unit with { Mean = unit.Mean + theta.Of(all.X, all.W) }),
        ];
    }

    private static SampleMoments Adjust(Linear arm, CupedTheta theta)
    {
        var (ofZ, ofCovariates, both) = (
            SampleMoments.PerIdentity(arm.N, arm.ZZ),
            SampleMoments.PerIdentity(arm.N, theta.Squares(arm)),
            2 * SampleMoments.PerIdentity(arm.N, theta.Shared(arm))
        );
        var left = ofZ + ofCovariates - both;
        return new(arm.N, arm.Mean - theta.Of(arm.X, arm.W), left > Rounding * (ofZ + Math.Abs(ofCovariates) + Math.Abs(both)) ? left : 0);
    }

    /// <summary>
    /// The mean of an arm, written as a mean of z, with the sums about the means of z and of the covariates x and w.
    /// </summary>
    internal readonly record struct Linear(
        double N,
        double Mean,
        double X,
        double W,
        double ZZ,
        double ZX,
        double ZW,
        double XX,
        double XW,
        double WW
    )
    {
        public static Linear Of(SufficientStatistics arm, bool isRatio)
        {
            var centred = arm.Centred;
            var (ratio, d) = isRatio ? (arm.Sum / arm.DenominatorSum, arm.DenominatorSum / arm.N) : (0, 1);
            return new(
                arm.N,
                isRatio ? ratio : arm.Sum / arm.N,
                arm.CovariateSum / arm.N,
                isRatio ? arm.Prior.Sum / arm.N : 0,
                (centred.YY - (2 * ratio * centred.YD) + (ratio * ratio * centred.DD)) / (d * d),
                (centred.YX - (ratio * centred.DX)) / d,
                isRatio ? (centred.YW - (ratio * centred.DW)) / d : 0,
                centred.XX,
                isRatio ? centred.XW : 0,
                isRatio ? centred.WW : 0
            );
        }
    }
}

/// <summary>How much is taken off for each unit of a covariate; 0 where it does not vary.</summary>
/// <param name="X">Of the covariate, in units of the metric for each of its own.</param>
/// <param name="W">Of the covariate of a ratio's denominator; 0 without one.</param>
internal readonly record struct CupedTheta(double X, double W)
{
    // Two covariates that say the same to so many digits are one.
    private const double Distinct = 1e-9;

    public static CupedTheta Of(Cuped.Linear all)
    {
        if (!(all.ZZ > 0))
        {
            return default;
        }

        var determinant = (all.XX * all.WW) - (all.XW * all.XW);
        return all is { XX: > 0, WW: > 0 } && determinant > Distinct * all.XX * all.WW
                ? new(((all.ZX * all.WW) - (all.ZW * all.XW)) / determinant, ((all.ZW * all.XX) - (all.ZX * all.XW)) / determinant)
            : all.XX > 0 ? new(all.ZX / all.XX, 0)
            : all.WW > 0 ? new(0, all.ZW / all.WW)
            : default;
    }

    public double Of(double x, double w) => (X * x) + (W * w);

    public double Shared(Cuped.Linear arm) => (X * arm.ZX) + (W * arm.ZW);

    public double Squares(Cuped.Linear arm) => (X * X * arm.XX) + (2 * X * W * arm.XW) + (W * W * arm.WW);
}
