namespace Experiments.Api.Statistics;

/// <summary>
/// Tests whether conversions fall to two arms as identities do: exact at any size, at any number of looks, and whatever the rate.
/// </summary>
/// <remarks>
/// If the rates are the same, each conversion is the treatment's with the probability w of its weight among the two arms; if they are in
/// the ratio ρ, with θ = ρw / (ρw + 1 - w). The likelihood of b of a + b conversions under a Beta(κw, κ(1 - w)) mixture, over that under
/// θ, is a martingale that starts at 1: M(θ) = B(κw + b, κ(1 - w) + a) / B(κw, κ(1 - w)) / (θ^b (1 - θ)^a). By Ville's inequality it
/// ever reaches 1/α with a probability of α at most, so p = min(1, 1/M) may be read as often as one likes, and all θ with M(θ) &lt; 1/α
/// are a confidence sequence. One-sided, the mixture is restricted to the side of the alternative, which multiplies M by the posterior
/// over the prior probability of that side. H. Robbins, Annals of Mathematical Statistics 41 (1970) 1397-1409; S. Howard et al., Annals
/// of Statistics 49 (2021) 1055-1080. It needs no variance, so it decides 500 conversions against none.
/// </remarks>
/// <param name="Control">How many identities of control have converted.</param>
/// <param name="Treatment">How many of the treatment.</param>
/// <param name="Share">The treatment's share of the identities of both arms, above 0 and below 1.</param>
internal readonly record struct ConversionMartingale(double Control, double Treatment, double Share)
{
    // How many conversions the mixture is worth: narrow enough for small lifts, wide enough for what is lost altogether.
    private const double Concentration = 20;

    /// <summary>Whether the treatment has more conversions than its share.</summary>
    public bool IsHigher => Treatment * (1 - Share) > Control * Share;

    /// <summary>The two-sided p-value of equal rates, from 0 to 1.</summary>
    public double PValue() => Math.Min(1, Math.Exp(-LogRatio(Share)));

    /// <summary>
    /// The p-value of one side: that the treatment's rate is more, or less, than <paramref name="ratio"/> times control's.
    /// </summary>
    /// <param name="ratio">The ratio of the rates at the edge of the hypothesis, above 0; 1 for equal rates.</param>
    /// <param name="alternative">Greater or less.</param>
    public double PValue(double ratio, Alternative alternative)
    {
        var theta = ThetaOf(ratio);
        var (prior, posterior) = (
            Side(Concentration * Share, Concentration * (1 - Share), theta, alternative),
            Side((Concentration * Share) + Treatment, (Concentration * (1 - Share)) + Control, theta, alternative)
        );
        return posterior > 0 ? Math.Min(1, Math.Exp(-LogRatio(theta)) * prior / posterior) : 1;
    }

    /// <summary>
    /// The confidence sequence of the relative effect, ρ - 1, which is never below -1. There is no upper bound where control has no
    /// conversions, and no bound where neither arm has any.
    /// </summary>
    public Interval Interval(double alpha)
    {
        // M falls to its minimum at the observed share and rises on both sides of it.
        var observed = Control + Treatment > 0 ? Treatment / (Control + Treatment) : Share;
        return new(
            Treatment > 0 ? EffectOf(Edge(observed, 0, -Math.Log(alpha)))
                : Control > 0 ? -1
                : null,
            Control > 0 ? EffectOf(Edge(observed, 1, -Math.Log(alpha))) : null
        );
    }

    private double ThetaOf(double ratio) => ratio * Share / ((ratio * Share) + 1 - Share);

    private double EffectOf(double theta) => (theta * (1 - Share) / ((1 - theta) * Share)) - 1;

    private double LogRatio(double theta)
    {
        var (of, against) = (Concentration * Share, Concentration * (1 - Share));
        return BetaFunction.Log(of + Treatment, against + Control)
            - BetaFunction.Log(of, against)
            - Times(Treatment, Math.Log(theta))
            - Times(Control, Math.Log(1 - theta));
    }

    private double Edge(double inside, double outside, double log)
    {
        for (var step = 0; step < 100; step++)
        {
            var middle = (inside + outside) / 2;
            (inside, outside) = LogRatio(middle) < log ? (middle, outside) : (inside, middle);
        }

        return inside;
    }

    private static double Side(double a, double b, double theta, Alternative alternative)
    {
        var (lower, upper) = BetaFunction.Tails(theta, a, b);
        return alternative == Alternative.Greater ? upper : lower;
    }

    // 0 log 0 is 0.
    private static double Times(double count, double log) => count == 0 ? 0 : count * log;
}
