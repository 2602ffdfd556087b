namespace Experiments.Api.Statistics;

/// <summary>What is known of a metric that must not get worse.</summary>
internal enum GuardrailVerdict
{
    /// <summary>Even the worst that the data allow is not worse than the margin.</summary>
    Safe,

    /// <summary>It has got worse: even the best that the data allow is below nought.</summary>
    Harmed,

    /// <summary>Neither can be said yet.</summary>
    Unclear,
}

/// <summary>Judges a guardrail by the bounds of its effect.</summary>
/// <remarks>
/// Non-inferiority: safe when the lower bound, in the direction in which more is better, is above -margin; harmed when the upper bound
/// is below nought. By a confidence sequence it may be judged at any time. The margin is relative to the mean of control.
/// </remarks>
internal static class NonInferiority
{
    /// <summary>How much worse, in proportion to control, is still taken for no worse.</summary>
    public const double DefaultMargin = 0.02;

    public static GuardrailVerdict Judge(Interval bounds, bool higherIsBetter, double margin)
    {
        var (worst, best) = higherIsBetter ? (bounds.Low, bounds.High) : (-bounds.High, -bounds.Low);
        return best < 0 ? GuardrailVerdict.Harmed : worst > -margin ? GuardrailVerdict.Safe : GuardrailVerdict.Unclear;
    }
}
