using Experiments.Api.Statistics;

namespace Experiments.Api.Results;

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
/// Why an effect is not significant, in the words and with the limits of PostHog's first engine, for those who decide by them. They
/// say nothing of the sequential test and of many comparisons, on which the verdict rests.
/// </summary>
internal static class Significances
{
    private const long FewestIdentities = 100;
    private const double LeastChance = 0.9;

    // Of control's mean, since the effect is relative; PostHog's is in the metric's own units.
    private const double MostLoss = 0.01;
    private const double Alpha = 0.05;

    /// <summary>Where the two cannot be compared.</summary>
    public static Significance OfNone(long fewest) =>
        fewest < FewestIdentities ? Significance.NotEnoughExposure : Significance.LowWinProbability;

    /// <param name="comparison">Of a treatment with control.</param>
    /// <param name="fewest">The identities of the smaller of the two.</param>
    public static Significance Of(Comparison comparison, long fewest)
    {
        var toWin = comparison.ChanceToWin ?? 0.5;
        var chance = Math.Max(toWin, 1 - toWin);
        // Of the better choice of the two; without a mean of control that it could be relative to, any is too high.
        var loss = comparison.ExpectedLoss is { } losses ? Math.Min(losses.Keeping, losses.Shipping) : double.PositiveInfinity;
        return fewest < FewestIdentities ? Significance.NotEnoughExposure
            : chance < LeastChance ? Significance.LowWinProbability
            : loss >= MostLoss ? Significance.HighLoss
            : comparison.PValue >= Alpha ? Significance.HighPValue
            : Significance.Significant;
    }
}
