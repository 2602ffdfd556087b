using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// What is still missing before the means of two arms can be compared: the smaller arm has so many, and so many are needed. Conversions
/// are also tested without it; see <see cref="SequentialTests"/>.
/// </summary>
/// <param name="Reason">Which minimum has not been reached.</param>
/// <param name="Needed">The minimum, in each arm.</param>
/// <param name="Have">What the arm with the fewest has.</param>
internal sealed record Floor(ComparisonReason Reason, long Needed, long Have)
{
    /// <summary>With fewer identities in an arm than this, nothing is said of it but its sums.</summary>
    public const long Identities = 50;

    // Conversions, and identities without one: the normal approximation of a proportion needs both.
    private const long Conversions = 25;

    // If few identities have a value, the mean depends on those few, however many have none.
    private const long Values = 50;

    /// <summary>The minimum of conversions or of values in each arm.</summary>
    public static long Minimum(MetricKind kind) => kind == MetricKind.Proportion ? Conversions : Values;

    /// <summary>
    /// Whether the difference of two proportions can be tested by the sequence. That depends on what is expected of each arm by the rate of
    /// both together, not on what was observed, so that a large difference is not hidden because one arm has few or none.
    /// </summary>
    public static bool Expects(SufficientStatistics control, SufficientStatistics treatment)
    {
        var rate = (control.Sum + treatment.Sum) / (control.N + treatment.N);
        var fewest = Math.Min(control.N, treatment.N);
        return fewest * rate >= Conversions && fewest * (1 - rate) >= Conversions;
    }

    /// <summary>The first minimum that has not been reached, or null.</summary>
    public static Floor? Of(MetricKind kind, SufficientStatistics control, SufficientStatistics treatment)
    {
        return control.N == 0
            ? new(ComparisonReason.NoControl, Identities, 0)
            : Below(ComparisonReason.NotEnoughIdentities, Identities, arm => arm.N)
                ?? (
                    kind == MetricKind.Proportion
                        ? Below(ComparisonReason.NotEnoughConversions, Conversions, arm => arm.Sum)
                            ?? Below(ComparisonReason.NotEnoughNonConversions, Conversions, arm => arm.N - arm.Sum)
                        : Below(ComparisonReason.NotEnoughValues, Values, arm => arm.NonZero)
                            ?? (
                                kind == MetricKind.Ratio
                                    ? Below(ComparisonReason.NotEnoughDenominators, Values, arm => arm.DenominatorNonZero)
                                    : null
                            )
                );

        Floor? Below(ComparisonReason reason, long needed, Func<SufficientStatistics, double> of) =>
            (long)Math.Min(of(control), of(treatment)) is var have && have < needed ? new(reason, needed, have) : null;
    }
}
