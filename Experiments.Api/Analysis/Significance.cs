using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>Whether an effect is significant, in the terms of PostHog's first engine; or why it is not.</summary>
internal enum Significance
{
    Significant,
    NotEnoughExposure,
    LowWinProbability,
    HighLoss,
    HighPValue,
}

/// <summary>
/// Why an effect is not significant, in the terms and with the thresholds of PostHog's first engine, for users who rely on them. It
/// ignores the sequential test and the adjustment for multiple comparisons, on which the verdict is based.
/// </summary>
internal static class SignificanceRules
{
    private const long FewestIdentities = 100;
    private const double LeastChance = 0.9;

    // A share of control's mean, because the effect is relative. PostHog's threshold is in the metric's own units.
    private const double MostLoss = 0.01;
    private const double Alpha = 0.05;

    /// <param name="comparison">The comparison of a treatment with control, or null if there is none.</param>
    /// <param name="fewest">The number of identities in the smaller arm.</param>
    public static Significance Of(Comparison? comparison, long fewest)
    {
        if (comparison is not { Difference: not null })
        {
            return fewest < FewestIdentities ? Significance.NotEnoughExposure : Significance.LowWinProbability;
        }

        var toWin = comparison.ChanceToWin ?? 0.5;
        var chance = Math.Max(toWin, 1 - toWin);
        // The loss of the better of the two choices. If control's mean is 0, the loss cannot be relative to it, and always counts as too
        // high.
        var loss = comparison.ExpectedLoss is { } losses ? Math.Min(losses.Keeping, losses.Shipping) : double.PositiveInfinity;
        return fewest < FewestIdentities ? Significance.NotEnoughExposure
            : chance < LeastChance ? Significance.LowWinProbability
            : loss >= MostLoss ? Significance.HighLoss
            : comparison.PValue >= Alpha ? Significance.HighPValue
            : Significance.Significant;
    }
}
