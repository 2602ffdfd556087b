using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>Whether two arms already differed before the exposure, by the covariate; tested at any number of looks.</summary>
internal static class PrePeriod
{
    // A false alarm in a thousand, as for the sample ratio.
    private const double Alarm = 0.001;

    private const double FewestIdentities = 100;

    public static bool Differs(SufficientStatistics control, SufficientStatistics treatment)
    {
        if (Math.Min(control.N, treatment.N) < FewestIdentities)
        {
            return false;
        }

        // A ratio has two covariates, which share the alarm.
        var alarm = control.Centred.WW > 0 || treatment.Centred.WW > 0 ? Alarm / 2 : Alarm;
        return Differs(control, treatment, alarm, arm => (arm.CovariateSum, arm.Centred.XX))
            || Differs(control, treatment, alarm, arm => (arm.Prior.Sum, arm.Centred.WW));
    }

    private static bool Differs(
        SufficientStatistics control,
        SufficientStatistics treatment,
        double alarm,
        Func<SufficientStatistics, (double Sum, double Centred)> covariate
    )
    {
        var difference = Effect.Cautiously(Moments(control), Moments(treatment));
        return difference.Variance > 0
            && double.IsFinite(difference.Variance)
            && ConfidenceSequence.PValue(difference, Alternative.TwoSided, alarm, ConfidenceSequence.DefaultTuning) < alarm;

        SampleMoments Moments(SufficientStatistics arm) =>
            new(arm.N, covariate(arm).Sum / arm.N, Math.Max(0, SampleMoments.PerIdentity(arm.N, covariate(arm).Centred)));
    }
}
