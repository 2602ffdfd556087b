namespace Experiments.Api.Statistics;

/// <summary>What is measured of an identity.</summary>
internal enum MetricKind
{
    Mean,
    Proportion,
    Ratio,
}

/// <summary>How two arms are to be compared.</summary>
/// <param name="Kind">What is measured.</param>
/// <param name="IsRelative">Whether the effect is in proportion to control.</param>
/// <param name="Alpha">How often a test may find what is not there.</param>
/// <param name="Alternative">What the tests try to find.</param>
/// <param name="HigherIsBetter">In which direction winning lies.</param>
/// <param name="Prior">A proper prior of the relative effect, whichever effect is shown; or null for a flat one.</param>
/// <param name="Tuning">The identities of both arms at which the sequential interval is narrowest.</param>
/// <param name="UseCovariate">Whether what was there before the exposure is taken off (CUPED).</param>
internal sealed record ComparisonSettings(
    MetricKind Kind,
    bool IsRelative = true,
    double Alpha = 0.05,
    Alternative Alternative = Alternative.TwoSided,
    bool HigherIsBetter = true,
    (double Mean, double Variance)? Prior = null,
    double Tuning = ConfidenceSequence.DefaultTuning,
    bool UseCovariate = false
);

/// <summary>
/// A treatment beside control, by every method; or, as <see cref="Reason"/>, why nothing can be said. Nothing here is anything but a
/// finite number, or null.
/// </summary>
internal sealed record Comparison
{
    /// <summary>The difference of the means, on which every test rests; null with a reason.</summary>
    public Effect? Difference { get; private init; }

    /// <summary>The same with the larger of Welch's and the pooled variance, on which sequential tests rest.</summary>
    public Effect? Cautious { get; private init; }

    public ComparisonReason? Reason { get; private init; }

    /// <summary>
    /// The effect as it was asked for: the difference, or that in proportion to control's mean; null where that mean is 0.
    /// </summary>
    public double? Effect { get; private init; }

    public double PValue { get; private init; }

    /// <summary>Of the effect; null where the data do not bound it.</summary>
    public Interval? Interval { get; private init; }

    public double SequentialPValue { get; private init; }

    /// <summary>Of the effect; null where the data do not bound it.</summary>
    public Interval? SequentialInterval { get; private init; }

    /// <summary>Null where a prior is given and control's mean, which it is relative to, is 0.</summary>
    public double? ChanceToWin { get; private init; }

    /// <summary>Of the effect; null where the data do not bound it.</summary>
    public Interval? CredibleInterval { get; private init; }

    /// <summary>In the units of the effect; null where it is relative and control's mean is 0.</summary>
    public (double Keeping, double Shipping)? ExpectedLoss { get; private init; }

    /// <summary>How much of the covariates was taken off; null without one.</summary>
    public CupedTheta? Theta { get; private init; }

    /// <summary>Why an interval is missing that was asked for.</summary>
    public ComparisonReason UnboundedReason => Effect is null ? ComparisonReason.ZeroBaseline : ComparisonReason.ControlNearZero;

    public static Comparison Between(SufficientStatistics control, SufficientStatistics treatment, ComparisonSettings settings)
    {
        if (control.N < 2 || treatment.N < 2)
        {
            return new() { Reason = ComparisonReason.NotEnoughIdentities };
        }

        var (c, t) = (UnitOf(control, settings.Kind), UnitOf(treatment, settings.Kind));
        if (!double.IsFinite(c.Mean) || !double.IsFinite(t.Mean))
        {
            // A ratio that is over nothing.
            return new() { Reason = ComparisonReason.ZeroBaseline };
        }

        var cuped = settings.UseCovariate ? Cuped.Between(control, treatment, settings.Kind) : null;
        var (difference, cautious) =
            cuped is not null && cuped.Theta != default
                ? (cuped.Effect, cuped.Cautious)
                : (Statistics.Effect.Between(c, t), Statistics.Effect.Cautiously(c, t));
        // With one arm that does not vary, the difference can still be tested by the pooled variance.
        return c.Variance > 0 && t.Variance > 0 && IsKnown(difference) && IsKnown(cautious)
            ? Of(difference, cautious, NormalPosterior.Of(difference, settings.Prior), settings) with
            {
                Theta = cuped?.Theta,
            }
            : new() { Reason = ComparisonReason.ZeroVariance, Cautious = IsKnown(cautious) ? cautious : null };
    }

    private static Comparison Of(Effect difference, Effect cautious, NormalPosterior? posterior, ComparisonSettings settings)
    {
        var (alternative, alpha, isRelative) = (settings.Alternative, settings.Alpha, settings.IsRelative);
        var fixedWidth = FixedHorizon.Multiplier(difference.DegreesOfFreedom, alternative, alpha);
        var sequentialWidth = ConfidenceSequence.Multiplier(cautious.N, alternative, alpha, settings.Tuning);
        // What a loss in units of the metric is in those of the effect.
        var unit =
            !isRelative ? 1
            : difference.Relative is null ? (double?)null
            : 1 / Math.Abs(difference.Control.Value);
        return new()
        {
            Difference = difference,
            Cautious = cautious,
            Effect = isRelative ? difference.Relative : difference.Value,
            PValue = FixedHorizon.PValue(difference, alternative),
            Interval = isRelative
                ? Fieller.Bounds(difference.Value, difference.Variance, difference.Control, fixedWidth, alternative)
                : FixedHorizon.Bounds(difference.Value, fixedWidth * difference.StandardError, alternative),
            SequentialPValue = ConfidenceSequence.PValue(cautious, alternative, alpha, settings.Tuning),
            SequentialInterval = isRelative
                ? Fieller.Bounds(cautious.Value, cautious.Variance, cautious.Control, sequentialWidth, alternative)
                : FixedHorizon.Bounds(cautious.Value, sequentialWidth * cautious.StandardError, alternative),
            ChanceToWin = posterior?.ChanceToWin(settings.HigherIsBetter),
            CredibleInterval = isRelative ? posterior?.RelativeInterval(alpha) : posterior?.Interval(alpha),
            ExpectedLoss =
                posterior?.ExpectedLoss(settings.HigherIsBetter) is { } loss && unit is { } per
                    ? (loss.Keeping * per, loss.Shipping * per)
                    : null,
        };
    }

    private static bool IsKnown(Effect effect) =>
        effect.Variance > 0
        && double.IsFinite(effect.Variance)
        && double.IsFinite(effect.Value)
        && double.IsFinite(effect.DegreesOfFreedom)
        && double.IsFinite(effect.Control.Variance)
        && double.IsFinite(effect.Control.Covariance);

    public static SampleMoments UnitOf(SufficientStatistics arm, MetricKind kind) =>
        kind switch
        {
            MetricKind.Proportion => SampleMoments.OfProportion(arm),
            MetricKind.Ratio => SampleMoments.OfRatio(arm),
            _ => SampleMoments.OfMean(arm),
        };
}
