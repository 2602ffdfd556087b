using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>A treatment compared with control on one metric: the tests, or the minimum that has not been reached yet.</summary>
/// <param name="Comparison">The comparison by every method.</param>
/// <param name="Exact">The comparison by the exact posteriors of the arms, for conversions and counts.</param>
/// <param name="Floor">Why there is not enough data for a test yet, or null if there is enough.</param>
/// <param name="Share">The share of identities with a value, if there are too few to compare means.</param>
internal sealed record ComparedMetricArm(Comparison Comparison, PosteriorComparison? Exact, ComparisonReason? Floor, ShareWithValue? Share)
{
    private const int FewestIdentities = 50;
    private const int FewestConversions = 5;
    private const int FewestValues = 50;

    /// <summary>Why there is no verdict on the means; null where there is one.</summary>
    public ComparisonReason? Reason => Floor ?? Comparison.Reason;

    public static ComparedMetricArm Of(
        MeasuredMetric metric,
        SufficientStatistics control,
        SufficientStatistics treatment,
        double treatmentWeight,
        ComparisonSettings settings
    )
    {
        var floor = FloorOf(metric.Kind, control, treatment);
        var exact = floor is not (null or ComparisonReason.NotEnoughConversions)
            ? null
            : metric.Aggregation switch
            {
                MetricAggregation.Occurrence or MetricAggregation.Funnel => PosteriorComparison.Compare(
                    new BetaPosterior(control.N, control.Sum),
                    new BetaPosterior(treatment.N, treatment.Sum)
                ),
                MetricAggregation.Count => PosteriorComparison.Compare(
                    new GammaPosterior(control.N, control.Sum),
                    new GammaPosterior(treatment.N, treatment.Sum)
                ),
                _ => null,
            };
        var share = floor == ComparisonReason.NotEnoughValues ? ShareWithValue.Of(metric.Kind, control, treatment, treatmentWeight) : null;
        return new(Comparison.Between(control, treatment, settings), exact, floor, share);
    }

    // If few identities have a value, the mean depends on those few. The minimum therefore applies to their number.
    private static ComparisonReason? FloorOf(MetricKind kind, SufficientStatistics control, SufficientStatistics treatment)
    {
        return control.N == 0 ? ComparisonReason.NoControl
            : Fewest(arm => arm.N) < FewestIdentities ? ComparisonReason.NotEnoughIdentities
            : kind == MetricKind.Proportion ? (Fewest(arm => arm.Sum) < FewestConversions ? ComparisonReason.NotEnoughConversions : null)
            : Fewest(arm => arm.NonZero) < FewestValues
            || (kind == MetricKind.Ratio && Fewest(arm => arm.DenominatorNonZero) < FewestValues)
                ? ComparisonReason.NotEnoughValues
            : null;

        double Fewest(Func<SufficientStatistics, double> of) => Math.Min(of(control), of(treatment));
    }
}

/// <summary>
/// The share of identities that have a value at all (for a ratio: a non-zero numerator among those with a denominator). It can be tested
/// at any size, so that a complete loss of values is detected before there are enough of them to compare means. The test is exact except
/// for a ratio, whose weights are the observed denominators.
/// </summary>
/// <param name="Control">Control's share, from 0 to 1.</param>
/// <param name="Treatment">The treatment's share.</param>
/// <param name="PValue">Two-sided and valid at any number of looks. A tenth of the error rate is spent on this test, which ends where the
/// test of the means begins.</param>
internal sealed record ShareWithValue(double Control, double Treatment, double PValue)
{
    private const double ShareOfError = 0.1;

    private const double FewestDenominators = 50;

    public static ShareWithValue? Of(MetricKind kind, SufficientStatistics control, SufficientStatistics treatment, double treatmentWeight)
    {
        var isRatio = kind == MetricKind.Ratio;
        var (ofControl, ofTreatment) = isRatio ? (control.DenominatorNonZero, treatment.DenominatorNonZero) : (control.N, treatment.N);
        var weight = isRatio ? ofTreatment / (ofControl + ofTreatment) : treatmentWeight;
        return (isRatio && Math.Min(ofControl, ofTreatment) < FewestDenominators) || weight is not (> 0 and < 1)
            ? null
            : new(
                control.NonZero / ofControl,
                treatment.NonZero / ofTreatment,
                Math.Min(1, ConversionMartingale.PValue(control.NonZero, treatment.NonZero, weight) / ShareOfError)
            );
    }

    /// <summary>Whether the treatment is worse: a smaller share if higher is better, a larger share if lower is better.</summary>
    public bool IsWorse(bool higherIsBetter) => higherIsBetter ? Treatment < Control : Treatment > Control;
}
