namespace Experiments.Api.Statistics;

/// <summary>For each of several arms, the chance that its mean is the best of all.</summary>
/// <remarks>
/// P(arm i is best) = ∫ f_i Π F_j over the other arms, or with 1 - F_j where lower is better, by Gauss and Legendre's rule over pieces that
/// follow what is narrow in any of the arms. The chances sum to 1 but for rounding, which is divided out.
/// </remarks>
internal static class ChanceToBeBest
{
    private static readonly double[] Steps = [0, 0.75, 1.5, 2.25, 3, 4, 5, 6.5, 8];

    public static double[] Of(IReadOnlyList<IPosterior> arms, bool higherIsBetter)
    {
        var cuts = arms.SelectMany(arm =>
                Steps.SelectMany(step => new[] { arm.Mean - (step * arm.StandardDeviation), arm.Mean + (step * arm.StandardDeviation) })
            )
            .Select(cut => Math.Clamp(cut, arms.Max(arm => arm.Start), arms.Min(arm => arm.End)))
            .Distinct()
            .Order()
            .ToList();
        var chances = arms.Select((arm, index) => cuts.Zip(cuts.Skip(1), (low, high) => Quadrature.Integrate(Best(index), low, high)).Sum())
            .ToArray();
        var total = chances.Sum();
        return [.. chances.Select(chance => chance / total)];

        Func<double, double> Best(int index) =>
            x =>
            {
                var product = arms[index].Density(x);
                for (var other = 0; other < arms.Count && product > 0; other++)
                {
                    if (other != index)
                    {
                        var (lower, upper) = arms[other].Tails(x);
                        product *= higherIsBetter ? lower : upper;
                    }
                }

                return product;
            };
    }
}
