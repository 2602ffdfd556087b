using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// The share of identities that have a value at all (for a ratio: a non-zero numerator among those with a denominator). It can be tested
/// at any size, so that a loss of values is detected before there are enough of them to compare means. The test is exact except for a
/// ratio, whose weights are the observed denominators.
/// </summary>
/// <param name="Control">Control's share, from 0 to 1.</param>
/// <param name="Treatment">The treatment's share.</param>
/// <param name="PValue">Two-sided and valid at any number of looks. A tenth of the error rate is spent on this test, which ends where the
/// test of the means begins.</param>
internal sealed record ShareWithValue(double Control, double Treatment, double PValue)
{
    private const double ShareOfError = 0.1;

    private const double FewestDenominators = 50;

    public static ShareWithValue? Of(
        MeasuredMetric metric,
        SufficientStatistics control,
        SufficientStatistics treatment,
        double treatmentWeight
    )
    {
        var isRatio = metric.Kind == MetricKind.Ratio;
        var (ofControl, ofTreatment) = isRatio ? (control.DenominatorNonZero, treatment.DenominatorNonZero) : (control.N, treatment.N);
        var weight = isRatio ? ofTreatment / (ofControl + ofTreatment) : treatmentWeight;
        // Where values may be negative, fewer of them may be better.
        var hasNegative = Math.Min(control.Sum, treatment.Sum) < 0;
        if (hasNegative || (isRatio && Math.Min(ofControl, ofTreatment) < FewestDenominators) || weight is not (> 0 and < 1))
        {
            return null;
        }

        var (share, other) = (control.NonZero / ofControl, treatment.NonZero / ofTreatment);
        var p = Math.Min(1, new ConversionMartingale(control.NonZero, treatment.NonZero, weight).PValue() / ShareOfError);
        return new(share, other, p);
    }

    /// <summary>Whether the treatment is worse: a smaller share if higher is better, a larger share if lower is better.</summary>
    public bool IsWorse(bool higherIsBetter) => higherIsBetter ? Treatment < Control : Treatment > Control;
}
