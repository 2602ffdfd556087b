using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>The chance of each variant to be the best of all, control included.</summary>
internal static class BestArm
{
    /// <summary>By the index of the variant; null for a variant without weight, and for all if one of them has too little data.</summary>
    public static double?[] Of(MeasuredMetric metric, IReadOnlyList<long> identities, IReadOnlyList<decimal> weights)
    {
        var arms = Enumerable.Range(0, weights.Count).Where(index => weights[index] > 0).ToList();
        var chances = new double?[weights.Count];
        var sums = arms.Select(index => metric.Arm(index, identities[index])).ToList();
        if (arms.Count < 2 || sums.Any(arm => arm.N < Floor.Identities || !arm.AreFinite))
        {
            return chances;
        }

        var posteriors =
            metric.Kind == MetricKind.Proportion && metric.Definition.LookbackDays is null
                ? [.. sums.Select(arm => new BetaPosterior(arm.N, arm.Sum))]
                : OfMeans(metric, sums);
        if (posteriors is null)
        {
            return chances;
        }

        foreach (var (index, chance) in arms.Zip(ChanceToBeBest.Of(posteriors, metric.HigherIsBetter)))
        {
            chances[index] = double.IsFinite(chance) ? chance : null;
        }

        return chances;
    }

    private static List<IPosterior>? OfMeans(MeasuredMetric metric, List<SufficientStatistics> arms)
    {
        var units = metric.Definition.LookbackDays is null
            ? [.. arms.Select(arm => Comparison.UnitOf(arm, metric.Kind))]
            : Cuped.Adjusted(arms, metric.Kind);
        return units.All(unit => unit.Variance > 0 && double.IsFinite(unit.Mean) && double.IsFinite(unit.Variance))
            ? [.. units.Select(unit => new MeanPosterior(unit.Mean, Math.Sqrt(unit.Variance / unit.N)))]
            : null;
    }
}
