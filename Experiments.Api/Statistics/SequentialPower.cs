namespace Experiments.Api.Statistics;

/// <summary>The power of the test that verdicts rest on, for one treatment against control.</summary>
/// <param name="Mean">Control's mean.</param>
/// <param name="Variance">The variance of one identity in control.</param>
/// <param name="IsProportion">Whether each identity converts or not, so that the treatment's variance follows from its mean.</param>
/// <param name="ShareWithValue">The share of identities with a value other than 0, from 0 to 1.</param>
/// <param name="ControlShare">Control's share of all identities, from 0 to 1.</param>
/// <param name="TreatmentShare">The treatment's share.</param>
/// <param name="Alpha">The error rate that is left for this test.</param>
/// <remarks>
/// With N identities the difference Δ is found if it exceeds k standard errors: power = Φ(|Δ|/σ - k), where σ² is the larger of Welch's and
/// the pooled variance and k the half-width of the confidence sequence at N, which makes this the power of the last look; over all looks it
/// is higher. For a single look, k is z_(1 - α/2). Below the minimum of conversions or values there is no test, and the power is 0.
/// </remarks>
internal sealed record SequentialPower(
    double Mean,
    double Variance,
    bool IsProportion,
    double ShareWithValue,
    double ControlShare,
    double TreatmentShare,
    double Alpha
)
{
    private const long Largest = 1L << 52;

    /// <summary>Whether it is read at a single look that is fixed in advance.</summary>
    public bool IsFixed { get; init; }

    /// <summary>The minimum of identities with a value, or of conversions, in each arm.</summary>
    public long Floor { get; init; }

    /// <summary>
    /// The margin, if this is a test that the metric does not get worse by more than that share of control's mean: positive where higher is
    /// better, negative where lower is. The power is then that of finding it safe though nothing changes.
    /// </summary>
    public double? Margin { get; init; }

    /// <summary>The power with so many identities in all variants.</summary>
    /// <param name="total">The identities in all variants.</param>
    /// <param name="effect">The relative effect; ignored with a margin.</param>
    public double At(double total, double effect)
    {
        var (n, m) = (total * ControlShare, total * TreatmentShare);
        var treated = Mean + ((Margin is null ? effect : 0) * Math.Abs(Mean));
        // Values that grow also spread: as if each were multiplied by the same factor.
        var variance = IsProportion ? treated * (1 - treated) : Variance * Math.Max(1, treated / Mean * (treated / Mean));
        // Of a proportion, both conversions and non-conversions have to reach the minimum.
        var fewest = IsProportion
            ? Math.Min(Math.Min(n * Mean, n * (1 - Mean)), Math.Min(m * treated, m * (1 - treated)))
            : Math.Min(n, m) * ShareWithValue;
        if (Math.Min(n, m) < 2 || fewest < Floor || !(variance > 0))
        {
            return 0;
        }

        // Of the contrast with a margin, control's part is (1 - margin) ȳ_C.
        var difference =
            Effect.Cautiously(new(n, Mean, Variance), new(m, treated, variance)) is var cautious && Margin is { } margin
                ? cautious.Beyond(margin)
                : cautious;
        var k = IsFixed
            ? -Normal.Quantile(Margin is null ? Alpha / 2 : Alpha)
            : ConfidenceSequence.Multiplier(
                total * (ControlShare + TreatmentShare),
                Margin is null ? Alternative.TwoSided : Alternative.Greater,
                Alpha,
                ConfidenceSequence.DefaultTuning
            );
        return Normal.UpperTail(k - (Math.Abs(difference.Value) / difference.StandardError));
    }

    /// <summary>The smallest number of identities in all variants with this power, or null if there is none.</summary>
    public long? SampleSize(double effect, double power)
    {
        long low = 3,
            high = 4;
        while (At(high, effect) < power)
        {
            if (high >= Largest)
            {
                return null;
            }

            (low, high) = (high, high * 2);
        }

        while (high - low > 1)
        {
            var middle = low + ((high - low) / 2);
            (low, high) = At(middle, effect) < power ? (middle, high) : (low, middle);
        }

        return high;
    }
}
