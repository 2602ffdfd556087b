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
/// <param name="Prior">A proper prior of the relative effect, or null for a flat one.</param>
/// <param name="Tuning">The identities of both arms at which the sequential interval is narrowest.</param>
/// <param name="UseCovariate">Whether what was there before the exposure is taken off (CUPED).</param>
internal sealed record ComparisonSettings(
    MetricKind Kind, bool IsRelative = true, double Alpha = 0.05, Alternative Alternative = Alternative.TwoSided, bool HigherIsBetter = true,
    (double Mean, double Variance)? Prior = null, double Tuning = ConfidenceSequence.DefaultTuning, bool UseCovariate = false);

/// <summary>A treatment beside control, by every method; or, as <see cref="Reason"/>, why nothing can be said.</summary>
internal sealed record Comparison
{
    public const string NotEnoughIdentities = "not_enough_identities";
    public const string NotEnoughConversions = "not_enough_conversions";
    public const string ZeroVariance = "zero_variance";
    public const string ZeroBaseline = "zero_baseline";
    public const string NoControl = "no_control";
    public const string SampleRatioMismatch = "sample_ratio_mismatch";

    /// <summary>The effect of the settings, or null with a reason.</summary>
    public Effect? Effect { get; private init; }

    public string? Reason { get; private init; }

    public double PValue { get; private init; }

    public Interval Interval { get; private init; }

    public double SequentialPValue { get; private init; }

    public Interval SequentialInterval { get; private init; }

    public double ChanceToWin { get; private init; }

    public Interval CredibleInterval { get; private init; }

    public (double Keeping, double Shipping) ExpectedLoss { get; private init; }

    /// <summary>How much of the covariate was taken off; null without one.</summary>
    public double? Theta { get; private init; }

    public static Comparison Between(ArmSums control, ArmSums treatment, ComparisonSettings settings)
    {
        if (control.N < 2 || treatment.N < 2)
        {
            return new() { Reason = NotEnoughIdentities };
        }

        var (c, t) = (UnitOf(control, settings.Kind), UnitOf(treatment, settings.Kind));
        // In this order: where neither arm says anything, it is not the baseline that is missing.
        var reason = !(c.Variance > 0) || !(t.Variance > 0) ? (double.IsNaN(c.Mean + t.Mean) || double.IsInfinity(c.Mean + t.Mean) ? ZeroBaseline : ZeroVariance)
            : settings.IsRelative && c.Mean == 0 ? ZeroBaseline
            : null;
        if (reason is not null)
        {
            return new() { Reason = reason };
        }

        var cuped = settings.UseCovariate ? Cuped.Between(control, treatment, settings.IsRelative) : null;
        var effect = cuped is { Theta: not 0 } ? cuped.Effect : Effect.Between(c, t, settings.IsRelative);
        if (!(effect.Variance > 0) || !double.IsFinite(effect.Variance) || !double.IsFinite(effect.Value))
        {
            return new() { Reason = ZeroVariance };
        }

        var posterior = NormalPosterior.Of(effect, settings.IsRelative, settings.Prior);
        return new()
        {
            Effect = effect,
            Theta = cuped?.Theta,
            PValue = FixedHorizon.PValue(effect, settings.Alternative),
            Interval = FixedHorizon.Interval(effect, settings.Alternative, settings.Alpha),
            SequentialPValue = ConfidenceSequence.PValue(effect, settings.Alternative, settings.Alpha, settings.Tuning),
            SequentialInterval = ConfidenceSequence.Interval(effect, settings.Alternative, settings.Alpha, settings.Tuning),
            ChanceToWin = posterior.ChanceToWin(settings.HigherIsBetter),
            CredibleInterval = posterior.Interval(settings.Alpha),
            ExpectedLoss = posterior.ExpectedLoss(settings.HigherIsBetter),
        };
    }

    public static Unit UnitOf(ArmSums arm, MetricKind kind) => kind switch
    {
        MetricKind.Proportion => Unit.OfProportion(arm),
        MetricKind.Ratio => Unit.OfRatio(arm),
        _ => Unit.OfMean(arm),
    };
}
