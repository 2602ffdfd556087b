namespace Experiments.Api.Statistics;

/// <summary>What a test tries to find.</summary>
internal enum Alternative
{
    TwoSided,
    Greater,
    Less,
}

/// <summary>Bounds of an effect; null where there is none.</summary>
internal readonly record struct Interval(double? Low, double? High);

/// <summary>A test that is read once, at a time fixed before.</summary>
/// <remarks>
/// Welch's t: t = Δ / √V on the effect's degrees of freedom. Two-sided p = 2 P(T > |t|); "greater" P(T > t); "less" P(T > -t), each
/// computed as a tail. Read more often than once, it finds differences where there are none: use <see cref="ConfidenceSequence"/>.
/// B. L. Welch, Biometrika 34 (1947) 28-35.
/// </remarks>
internal static class FixedHorizon
{
    public static double PValue(Effect effect, Alternative alternative)
    {
        var t = effect.Value / effect.StandardError;
        return alternative switch
        {
            Alternative.Greater => StudentT.UpperTail(t, effect.DegreesOfFreedom),
            Alternative.Less => StudentT.UpperTail(-t, effect.DegreesOfFreedom),
            _ => Math.Min(1, 2 * StudentT.UpperTail(Math.Abs(t), effect.DegreesOfFreedom)),
        };
    }

    public static Interval Interval(Effect effect, Alternative alternative, double alpha) =>
        Bounds(effect.Value, Multiplier(effect.DegreesOfFreedom, alternative, alpha) * effect.StandardError, alternative);

    /// <summary>The half-width of the interval in standard errors.</summary>
    public static double Multiplier(double degreesOfFreedom, Alternative alternative, double alpha) =>
        StudentT.UpperQuantile(alternative == Alternative.TwoSided ? alpha / 2 : alpha, degreesOfFreedom);

    /// <summary>The bounds that a half-width makes: both, or only the one that the alternative asks about.</summary>
    public static Interval Bounds(double value, double width, Alternative alternative) =>
        alternative switch
        {
            Alternative.Greater => new(value - width, null),
            Alternative.Less => new(null, value + width),
            _ => new(value - width, value + width),
        };
}
