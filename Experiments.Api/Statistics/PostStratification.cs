namespace Experiments.Api.Statistics;

/// <summary>One stratum: the sums of control and of a treatment in it, and how many identities of all arms it has.</summary>
internal readonly record struct Stratum(SufficientStatistics Control, SufficientStatistics Treatment, double N)
{
    public bool IsUsable => Control.N >= 2 && Treatment.N >= 2;

    public static Stratum operator +(Stratum one, Stratum other) =>
        new(one.Control + other.Control, one.Treatment + other.Treatment, one.N + other.N);

    public static Stratum Add(Stratum left, Stratum right) => left + right;
}

/// <summary>The difference of an effect once both arms are weighted to the same mix of strata.</summary>
/// <remarks>
/// With the share w of a stratum among all identities: a mean is Σ w ȳ, a ratio Σ w ȳ / Σ w d̄ = R, and its variance
/// Σ w² s² / n / (Σ w d̄)², where s² is the variance of y - R d within the stratum and arm. Given how many identities each stratum has.
/// Assumes that the strata were fixed before the assignment could affect them. A stratum in which an arm has fewer than two identities is
/// joined with the others like it. L. W. Miratrix, J. S. Sekhon and B. Yu, Journal of the Royal Statistical Society B 75 (2013) 369-396.
/// </remarks>
internal static class PostStratification
{
    /// <summary>The effect; null if an arm has fewer than two identities or its mean or variance is not known.</summary>
    /// <param name="strata">The strata.</param>
    /// <param name="isRatio">Whether the metric is a ratio.</param>
    public static Effect? Of(IReadOnlyList<Stratum> strata, bool isRatio)
    {
        var joined = Join(strata);
        if (!joined.All(stratum => stratum.IsUsable) || joined.Count == 0)
        {
            return null;
        }

        var total = joined.Sum(stratum => stratum.N);
        var weights = joined.Select(stratum => stratum.N / total).ToList();
        var control = Arm.Of([.. joined.Select(stratum => stratum.Control)], weights, isRatio);
        var treatment = Arm.Of([.. joined.Select(stratum => stratum.Treatment)], weights, isRatio);
        var variance = control.Variance + treatment.Variance;
        return double.IsFinite(control.Mean) && double.IsFinite(treatment.Mean) && double.IsFinite(variance) && variance > 0
            ? new(
                treatment.Mean - control.Mean,
                variance,
                // Welch and Satterthwaite's, in proportion to the variance so that nothing underflows.
                1 / (control.InverseFreedom(variance) + treatment.InverseFreedom(variance)),
                control.N + treatment.N,
                new(control.Mean, control.Variance, -control.Variance)
            )
            : null;
    }

    private static List<Stratum> Join(IReadOnlyList<Stratum> strata)
    {
        var (usable, others) = (strata.Where(stratum => stratum.IsUsable).ToList(), strata.Where(stratum => !stratum.IsUsable).ToList());
        if (others.Count == 0 || others.Sum(stratum => stratum.N) == 0)
        {
            return usable;
        }

        var rest = others.Aggregate(Stratum.Add);
        if (!rest.IsUsable && usable.Count > 0)
        {
            var smallest = usable.MinBy(stratum => stratum.N);
            usable.Remove(smallest);
            rest += smallest;
        }

        return [.. usable, rest];
    }

    private sealed record Arm(double N, double Mean, IReadOnlyList<(double Variance, double Freedom)> Parts)
    {
        public double Variance => Parts.Sum(part => part.Variance);

        public double InverseFreedom(double of) => Parts.Sum(part => part.Variance / of * (part.Variance / of) / part.Freedom);

        public static Arm Of(IReadOnlyList<SufficientStatistics> strata, IReadOnlyList<double> weights, bool isRatio)
        {
            double Weighted(Func<SufficientStatistics, double> mean) => strata.Zip(weights, (stratum, w) => w * mean(stratum)).Sum();
            var denominator = isRatio ? Weighted(stratum => stratum.DenominatorSum / stratum.N) : 1;
            var mean = Weighted(stratum => stratum.Sum / stratum.N) / denominator;
            return new(
                strata.Sum(stratum => stratum.N),
                mean,
                [
                    .. strata.Zip(
                        weights,
                        (stratum, w) =>
                        {
                            var centred = stratum.Centred;
                            var squares = isRatio
                                ? Math.Max(0, centred.YY - (2 * mean * centred.YD) + (mean * mean * centred.DD))
                                : centred.YY;
                            var ofMean = SampleMoments.PerIdentity(stratum.N, squares) / stratum.N;
                            return (w * w * ofMean / (denominator * denominator), stratum.N - 1);
                        }
                    ),
                ]
            );
        }
    }
}
