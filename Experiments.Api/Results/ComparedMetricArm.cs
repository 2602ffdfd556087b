using Experiments.Api.Metrics;
using Experiments.Api.Statistics;

namespace Experiments.Api.Results;

/// <summary>A treatment beside control by one metric: what can be tested, or which floor is not reached yet.</summary>
/// <param name="Comparison">By every method.</param>
/// <param name="Exact">By the posteriors of the arms themselves, for what is converted or counted.</param>
/// <param name="Floor">Why there is too little to be tested yet; null where there is enough.</param>
/// <param name="Share">Where too few identities have a value for their means to be compared: how many have one.</param>
internal sealed record ComparedMetricArm(Comparison Comparison, ExactChance? Exact, ComparisonReason? Floor, ShareWithValue? Share)
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
                MetricAggregation.Occurrence or MetricAggregation.Funnel => ExactChance.Compare(
                    new BetaPosterior(control.N, control.Sum),
                    new BetaPosterior(treatment.N, treatment.Sum)
                ),
                MetricAggregation.Count => ExactChance.Compare(
                    new GammaPosterior(control.N, control.Sum),
                    new GammaPosterior(treatment.N, treatment.Sum)
                ),
                _ => null,
            };
        var share = floor == ComparisonReason.NotEnoughValues ? ShareWithValue.Of(metric.Kind, control, treatment, treatmentWeight) : null;
        return new(Comparison.Between(control, treatment, settings), exact, floor, share);
    }

    // The mean of what few identities have follows from those few, so they are what there must be enough of.
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
/// Which share of the identities has a value at all (of a ratio: a numerator, of those with a denominator). It is tested at any size
/// (exactly, but for a ratio, whose weights are those of the denominators that came), so that a value that is lost altogether is seen
/// before there are enough values to compare their means.
/// </summary>
/// <param name="Control">Control's share, from 0 to 1.</param>
/// <param name="Treatment">The treatment's share.</param>
/// <param name="PValue">Two-sided, at any number of looks. A tenth of the error is spent on this test, which ends where that of the means
/// begins.</param>
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

    /// <summary>
    /// Whether fewer of the treatment have what is better the more there is of it, or more what is better the less there is.
    /// </summary>
    public bool IsWorse(bool higherIsBetter) => higherIsBetter ? Treatment < Control : Treatment > Control;
}
