using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>A treatment compared with control on one metric.</summary>
/// <param name="Comparison">The comparison by every method.</param>
/// <param name="Floor">What is still missing before the means can be compared, or null.</param>
/// <param name="Share">The share of identities with a value, if there are too few values to compare means.</param>
/// <param name="Tests">What the verdict rests on, including what earlier looks have found.</param>
internal sealed record ComparedMetricArm(Comparison Comparison, Floor? Floor, ShareWithValue? Share, SequentialTests Tests)
{
    /// <summary>
    /// The comparison by the exact posteriors of the arms, for conversions and counts. It is computed when it is first read.
    /// </summary>
    public PosteriorComparison? Exact => ExactOnDemand.Value;

    private Lazy<PosteriorComparison?> ExactOnDemand { get; init; } = new(() => null);

    /// <summary>Why the means are not compared, or null if they are.</summary>
    public ComparisonReason? Reason => Floor?.Reason ?? Comparison.Reason;

    /// <summary>The tests of this look alone.</summary>
    public SequentialTests Now { get; private init; } = SequentialTests.None;

    /// <summary>Whether the difference now points the other way than when it was significant.</summary>
    public bool HasReversed { get; private init; }

    /// <summary>
    /// Whether the covariate, which is from before the exposure, differs between the arms. That is not by chance, so they are not
    /// comparable.
    /// </summary>
    public bool DifferedBefore { get; private init; }

    /// <summary>The conversion rates of control and of the treatment, for a proportion.</summary>
    public (double Control, double Treatment)? Rates { get; private init; }

    /// <summary>
    /// The p-value of "not better and not worse", valid at any number of looks: by the tests of the means or of the conversions, or if
    /// there are too few values for them, that of a smaller share with a value.
    /// </summary>
    public double PValue => Math.Min(Tests.PValue, PValueOfHarm);

    /// <summary>
    /// The smallest p-value of a smaller share of identities with a value, over all looks at which there were too few values; 1 without.
    /// </summary>
    public double PValueOfHarm { get; private init; } = 1;

    /// <param name="metric">The metric.</param>
    /// <param name="control">Control's sums.</param>
    /// <param name="treatment">The treatment's sums.</param>
    /// <param name="treatmentWeight">The treatment's share of the weight of both arms.</param>
    /// <param name="earlier">What earlier looks have found.</param>
    public static ComparedMetricArm Of(
        MeasuredMetric metric,
        SufficientStatistics control,
        SufficientStatistics treatment,
        double treatmentWeight,
        ArmEvidence earlier
    )
    {
        var usesCovariate = metric.Definition.LookbackDays is not null;
        var comparison = Comparison.Between(
            control,
            treatment,
            // With a covariate, a proportion is treated as a mean of zeros and ones.
            new(
                usesCovariate && metric.Kind == MetricKind.Proportion ? MetricKind.Mean : metric.Kind,
                Alpha: SequentialTests.Alpha,
                HigherIsBetter: metric.HigherIsBetter,
                UseCovariate: usesCovariate
            )
        );
        var floor = Floor.Of(metric.Kind, control, treatment);
        ConversionMartingale? conversions =
            metric.Kind == MetricKind.Proportion && treatmentWeight is > 0 and < 1
                ? new(control.Sum, treatment.Sum, treatmentWeight)
                : null;
        var share = floor?.Reason is ComparisonReason.NotEnoughValues or ComparisonReason.NotEnoughDenominators
            ? ShareWithValue.Of(metric, control, treatment, treatmentWeight)
            : null;
        var hasDifference = floor is null || (conversions is not null && Floor.Expects(control, treatment));
        var now = SequentialTests.Of(metric, conversions, hasDifference ? comparison.Cautious : null);
        return new(comparison, floor, share, now.With(earlier.Tests))
        {
            ExactOnDemand = new(() => ExactOf(metric, control, treatment)),
            Now = now,
            PValueOfHarm = Math.Min(earlier.PValueOfHarm, share?.IsWorse(metric.HigherIsBetter) == true ? share.PValue : 1),
            HasReversed =
                comparison.Cautious is { } difference
                && Math.Min(earlier.Tests.Better, earlier.Tests.Worse) < SequentialTests.Alpha
                && (difference.Value > 0 == metric.HigherIsBetter) != (earlier.Tests.Better < earlier.Tests.Worse),
            DifferedBefore = usesCovariate && PrePeriod.Differs(control, treatment),
            Rates =
                metric.Kind == MetricKind.Proportion && control.N > 0 && treatment.N > 0
                    ? (control.Sum / control.N, treatment.Sum / treatment.N)
                    : null,
        };
    }

    // The time that exact posteriors take grows with the root of the count. With this many events, the normal posterior is the same.
    private const double MostForExact = 1e6;

    private static PosteriorComparison? ExactOf(MeasuredMetric metric, SufficientStatistics control, SufficientStatistics treatment) =>
        // Without prior knowledge, a chance from a handful of identities would only mislead.
        Math.Min(control.N, treatment.N) < Floor.Identities
            ? null
            : metric switch
            {
                { Kind: MetricKind.Proportion } => PosteriorComparison.Compare(
                    new BetaPosterior(control.N, control.Sum),
                    new BetaPosterior(treatment.N, treatment.Sum)
                ),
                { Aggregation: MetricAggregation.Count, Definition.Winsorize: null }
                    when control.Sum is >= 0 and <= MostForExact && treatment.Sum is >= 0 and <= MostForExact =>
                    PosteriorComparison.Compare(new GammaPosterior(control.N, control.Sum), new GammaPosterior(treatment.N, treatment.Sum)),
                _ => null,
            };
}
