using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// The tests of a treatment against control that verdicts rest on. All are valid at any number of looks. Better and worse are relative to
/// the direction in which the metric should move.
/// </summary>
/// <param name="Better">The p-value of the two-sided test of the difference if the treatment is better, or else 1.</param>
/// <param name="Worse">The same if it is worse.</param>
/// <param name="Safe">For a metric that must not get worse: the one-sided p-value of "not worse by more than the margin"; 1 for others.
/// </param>
/// <param name="Harmed">The same of "worse by more than the margin".</param>
/// <param name="Low">The lower bound of the relative effect, or null if the data do not bound it.</param>
/// <param name="High">The upper bound.</param>
/// <remarks>
/// A proportion is tested by two processes at once: the confidence sequence of the difference, if there are enough conversions and
/// non-conversions for it, with nine tenths of the error rate, and the exact <see cref="ConversionMartingale"/>, at any size, with one
/// tenth. The combined p-value is the smaller of the two, each divided by its share; the interval is the intersection of both intervals.
/// Other metrics are tested by the sequence alone, once there are enough values. Interval and p-values agree: the interval excludes 0
/// exactly if the difference is significant.
/// </remarks>
internal sealed record SequentialTests(double Better, double Worse, double Safe, double Harmed, double? Low, double? High)
{
    public const double Alpha = 0.05;

    /// <summary>The share of the error rate that the sequence has for a proportion.</summary>
    public const double ShareOfSequence = 0.9;

    private const double ShareOfMartingale = 0.1;

    /// <summary>The tests before any data.</summary>
    public static readonly SequentialTests None = new(1, 1, 1, 1, null, null);

    /// <summary>The two-sided p-value of the difference.</summary>
    public double PValue => Math.Min(Better, Worse);

    /// <summary>Whether the evidence points both ways, as when the effect has reversed.</summary>
    public bool IsContradictory => Better < Alpha && Worse < Alpha;

    /// <summary>Whether the intervals of all looks have nothing in common, so that the effect must have changed.</summary>
    public bool HasChanged => Low > High;

    /// <param name="metric">The metric.</param>
    /// <param name="conversions">The conversions of both arms, for a proportion.</param>
    /// <param name="difference">The difference as sequential tests use it, if there is enough data for it.</param>
    public static SequentialTests Of(MeasuredMetric metric, ConversionMartingale? conversions, Effect? difference)
    {
        var tests = None;
        if (difference is not null)
        {
            tests = OfDifference(metric, difference, conversions is null ? 1 : ShareOfSequence);
        }

        return conversions is { } exact ? tests.With(OfConversions(metric, exact)) : tests;
    }

    /// <summary>Both at once: the smaller p-values, and the intersection of the intervals.</summary>
    public SequentialTests With(SequentialTests other) =>
        new(
            Math.Min(Better, other.Better),
            Math.Min(Worse, other.Worse),
            Math.Min(Safe, other.Safe),
            Math.Min(Harmed, other.Harmed),
            Low is null || other.Low > Low ? other.Low : Low,
            High is null || other.High < High ? other.High : High
        );

    private static SequentialTests OfDifference(MeasuredMetric metric, Effect difference, double share)
    {
        var alpha = share * Alpha;
        var multiplier = ConfidenceSequence.Multiplier(difference.N, Alternative.TwoSided, alpha, ConfidenceSequence.DefaultTuning);
        var interval = Fieller.Bounds(difference.Value, difference.Variance, difference.Control, multiplier, Alternative.TwoSided);
        var beyond = difference.Beyond(metric.SignedMargin);
        return Of(
            metric,
            difference.Value > 0,
            PValue(difference, Alternative.TwoSided),
            alternative => beyond.Variance > 0 ? PValue(beyond, alternative) : 1,
            interval
        );

        double PValue(Effect effect, Alternative alternative) =>
            Math.Min(1, ConfidenceSequence.PValue(effect, alternative, alpha, ConfidenceSequence.DefaultTuning) / share);
    }

    private static SequentialTests OfConversions(MeasuredMetric metric, ConversionMartingale conversions) =>
        Of(
            metric,
            conversions.IsHigher,
            Math.Min(1, conversions.PValue() / ShareOfMartingale),
            alternative => Math.Min(1, conversions.PValue(1 - metric.SignedMargin, alternative) / ShareOfMartingale),
            conversions.Interval(ShareOfMartingale * Alpha)
        );

    private static SequentialTests Of(
        MeasuredMetric metric,
        bool isHigher,
        double difference,
        Func<Alternative, double> ofMargin,
        Interval? interval
    )
    {
        var isBetter = isHigher == metric.HigherIsBetter;
        var (fine, bad) = metric.HigherIsBetter ? (Alternative.Greater, Alternative.Less) : (Alternative.Less, Alternative.Greater);
        return new(
            isBetter ? difference : 1,
            isBetter ? 1 : difference,
            metric.IsGuardrail ? ofMargin(fine) : 1,
            metric.IsGuardrail ? ofMargin(bad) : 1,
            interval?.Low,
            interval?.High
        );
    }
}
