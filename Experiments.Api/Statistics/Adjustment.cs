namespace Experiments.Api.Statistics;

/// <summary>P-values of several tests at once, adjusted for how many there are.</summary>
internal static class Adjustment
{
    /// <summary>Keeps the chance of any false finding at α, whatever the tests have to do with each other.</summary>
    /// <remarks>
    /// Ascending, p_(i) (m - i) with i from zero, the running maximum, at most 1. S. Holm, Scandinavian Journal of Statistics 6 (1979)
    /// 65-70. As R's p.adjust.
    /// </remarks>
    public static double[] Holm(IReadOnlyList<double> pValues)
    {
        var adjusted = new double[pValues.Count];
        var highest = 0.0;
        foreach (var (rank, index) in Ascending(pValues).Index())
        {
            adjusted[index] = highest = Math.Max(highest, Math.Min(1, pValues[index] * (pValues.Count - rank)));
        }

        return adjusted;
    }

    /// <summary>Keeps the share of false findings among all findings at α, where tests are independent or go together.</summary>
    /// <remarks>
    /// Descending, p_(i) m / i, the running minimum, at most 1. Y. Benjamini and Y. Hochberg, Journal of the Royal Statistical Society B 57
    /// (1995) 289-300. As R's p.adjust.
    /// </remarks>
    public static double[] BenjaminiHochberg(IReadOnlyList<double> pValues)
    {
        var adjusted = new double[pValues.Count];
        var lowest = 1.0;
        foreach (var (rank, index) in Ascending(pValues).AsEnumerable().Reverse().Index())
        {
            adjusted[index] = lowest = Math.Min(lowest, pValues[index] * pValues.Count / (pValues.Count - rank));
        }

        return adjusted;
    }

    private static int[] Ascending(IReadOnlyList<double> pValues) =>
        [.. Enumerable.Range(0, pValues.Count).OrderBy(index => pValues[index])];
}
