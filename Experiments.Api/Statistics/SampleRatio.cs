namespace Experiments.Api.Statistics;

/// <summary>
/// Whether identities came to the variants in the configured proportions, at one look. If it is looked at again and again, use
/// <see cref="SequentialSampleRatio"/>.
/// </summary>
/// <remarks>
/// Pearson's χ² = Σ (o − e)² / e over the arms with weight, e = w / Σw · Σo, on one degree of freedom less than there are arms;
/// the p-value is its upper tail, computed as such: Q(df/2, χ²/2). It assumes that identities are assigned independently and
/// that each arm expects five or more. Source: K. Pearson, Philosophical Magazine 50 (1900) 157-175. Checked against R's
/// chisq.test.
/// </remarks>
internal static class SampleRatio
{
    /// <summary>The p-value, from 0 to 1, or null when fewer than two arms have weight or nobody has come.</summary>
    public static double? PValue(IReadOnlyList<long> observed, IReadOnlyList<double> weights)
    {
        var arms = observed.Zip(weights).Where(arm => arm.Second > 0).ToList();
        var (total, weight) = (arms.Sum(arm => (double)arm.First), arms.Sum(arm => arm.Second));
        if (arms.Count < 2 || total == 0)
        {
            return null;
        }

        var statistic = arms.Sum(arm =>
        {
            var expected = arm.Second / weight * total;
            return (arm.First - expected) * (arm.First - expected) / expected;
        });
        return statistic == 0 ? 1 : GammaFunction.UpperRegularized((arms.Count - 1) / 2.0, statistic / 2);
    }
}
