namespace Experiments.Api.Statistics;

/// <summary>Whether identities come to the variants in the configured proportions, tested again and again as they come.</summary>
/// <remarks>
/// The Bayes factor of a Dirichlet(κ w) mixture against the configured shares w: with n_i identities of N,
/// ln BF = ln Γ(κ) - ln Γ(κ + N) + Σ [ln Γ(κ w_i + n_i) - ln Γ(κ w_i) - n_i ln w_i]. A large κ is sensitive to small deviations among
/// many identities, a small κ to large deviations among few, so the factor is averaged over κ of 100, 1 000 and 10 000. Under the
/// configured shares it is a martingale that starts at 1, so p = min(1, 1/BF) is below α with a probability of α at most, over any number
/// of looks. Variants without weight are left
/// out. M. Lindon and A. Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022.
/// </remarks>
internal static class SequentialSampleRatio
{
    /// <summary>
    /// Below this p-value an experiment is not to be trusted: at most one sound experiment in a thousand ever gets there.
    /// </summary>
    public const double Alarm = 0.001;

    private static readonly double[] Concentrations = [100, 1_000, 10_000];

    /// <summary>The p-value, from 0 to 1, or null when fewer than two arms have weight or nobody has come.</summary>
    public static double? PValue(IReadOnlyList<long> observed, IReadOnlyList<double> weights)
    {
        var arms = observed.Zip(weights, (count, weight) => (Count: (double)count, Weight: weight)).Where(arm => arm.Weight > 0).ToList();
        var (total, weight) = (arms.Sum(arm => arm.Count), arms.Sum(arm => arm.Weight));
        if (arms.Count < 2 || total == 0)
        {
            return null;
        }

        double[] logs =
        [
            .. Concentrations.Select(concentration =>
                arms.Sum(arm => Rising(concentration * arm.Weight / weight, arm.Count, arm.Weight / weight))
                - Rising(concentration, total, 1)
            ),
        ];
        // The largest is taken out, so that nothing overflows.
        var largest = logs.Max();
        return Math.Min(1, Math.Exp(-largest) / logs.Average(log => Math.Exp(log - largest)));
    }

    // ln (Γ(a + n) / Γ(a)) - n ln share.
    private static double Rising(double a, double n, double share) =>
        GammaFunction.Log(a + n) - GammaFunction.Log(a) - (n * Math.Log(share));
}
