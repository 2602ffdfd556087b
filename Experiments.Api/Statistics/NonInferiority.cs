namespace Experiments.Api.Statistics;

/// <summary>What is known of a metric that must not get worse.</summary>
internal enum GuardrailVerdict
{
    /// <summary>Even the worst that the data allow is not worse than the margin.</summary>
    Safe,

    /// <summary>It has got worse.</summary>
    Harmed,

    /// <summary>Neither can be said yet.</summary>
    Unclear,
}

/// <summary>Judges a guardrail by the always-valid test of its difference, so that it may be judged at any time.</summary>
/// <remarks>
/// Harmed when the difference is significant in the direction that is worse. Non-inferior when the lower bound of the relative effect, in
/// the direction in which more is better, is above -margin: that is the same test on ȳ_T - (1 - margin) ȳ_C. Where control's mean is so
/// near 0 that the ratio has no bounds, nothing is called safe.
/// </remarks>
internal static class NonInferiority
{
    /// <summary>How much worse, in proportion to control, is still taken for no worse.</summary>
    public const double DefaultMargin = 0.02;

    public static GuardrailVerdict Judge(Comparison comparison, bool higherIsBetter, double margin, double alpha)
    {
        var worst = higherIsBetter ? comparison.SequentialInterval?.Low : -comparison.SequentialInterval?.High;
        return comparison.SequentialPValue < alpha && comparison.Difference!.Value > 0 != higherIsBetter ? GuardrailVerdict.Harmed
            : worst > -margin ? GuardrailVerdict.Safe
            : GuardrailVerdict.Unclear;
    }
}
