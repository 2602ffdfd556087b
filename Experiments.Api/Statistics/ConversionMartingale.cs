namespace Experiments.Api.Statistics;

/// <summary>
/// Whether conversions fall to two arms as identities do: exact at any size, at any number of looks, and whatever the rate.
/// </summary>
/// <remarks>
/// Where nothing differs, each conversion is the treatment's with the probability w of its weight among the two. The likelihood of b of
/// a + b under a Beta(κw, κ(1 - w)) mixture, over that under w, is a martingale that starts at 1:
/// M = B(κw + b, κ(1 - w) + a) / B(κw, κ(1 - w)) / (w^b (1 - w)^a). By Ville's inequality it ever reaches 1/α with a probability of α at
/// most, so p = min(1, 1/M) may be read as often as one likes. H. Robbins, Annals of Mathematical Statistics 41 (1970) 1397-1409;
/// S. Howard et al., Annals of Statistics 49 (2021) 1055-1080. It needs no variance, and so sees 500 conversions against none.
/// </remarks>
internal static class ConversionMartingale
{
    // How many conversions the mixture is worth: narrow enough for small lifts, wide enough for what is lost altogether.
    private const double Concentration = 20;

    /// <summary>The p-value, from 0 to 1.</summary>
    /// <param name="control">How many identities of control have converted.</param>
    /// <param name="treatment">How many of the treatment.</param>
    /// <param name="share">The treatment's share of the identities of both arms, above 0 and below 1.</param>
    public static double PValue(double control, double treatment, double share)
    {
        var (of, against) = (Concentration * share, Concentration * (1 - share));
        var log =
            LogBeta(of + treatment, against + control)
            - LogBeta(of, against)
            - (treatment * Math.Log(share))
            - (control * Math.Log(1 - share));
        return Math.Min(1, Math.Exp(-log));
    }

    private static double LogBeta(double a, double b) => GammaFunction.Log(a) + GammaFunction.Log(b) - GammaFunction.Log(a + b);
}
