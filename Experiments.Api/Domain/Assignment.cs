namespace Experiments.Api.Domain;

/// <summary>
/// The variant of an identity: a pure function of the experiment's salt, rollout and split. Nothing is stored, so the same identity
/// always gets the same variant, on every replica. Enrolment and variant use two independent hashes, so raising a rollout reassigns
/// nobody.
/// </summary>
internal static class Assignment
{
    private const int LongestOnStack = 512;

    /// <summary>What is hashed after the identifier for the variant.</summary>
    public const string OfVariant = "variant";

    /// <summary>
    /// A number in [0, 1], spread evenly over texts: the first 15 hexadecimal digits of the SHA-1 of the UTF-8, divided by 2^60.
    /// Clients in other languages can compute it as well.
    /// </summary>
    public static double Hash(string text) => Hash(text, "", "");

    /// <summary>The number that decides enrolment: a rollout above it includes the identity.</summary>
    public static double Draw(string salt, string identifier) => Hash(salt, ".", identifier);

    /// <summary>
    /// Whether the share of <paramref name="percentage"/> (0 to 100) selected by <paramref name="salt"/> includes this identity. 0
    /// includes nobody and 100 everyone.
    /// </summary>
    public static bool Admits(string salt, string identifier, decimal percentage) =>
        percentage >= 100 || Draw(salt, identifier) < (double)(percentage / 100);

    /// <summary>60 bits as a number in [0, 1].</summary>
    public static double Share(ulong bits) => bits / (double)(1UL << 60);

    /// <summary>The number that decides the variant.</summary>
    public static double VariantHash(string salt, string identifier) => Hash(salt, ".", identifier, OfVariant);

    /// <summary>
    /// The index of the identity's variant: the first whose weight, summed up by <see cref="Cumulate"/>, exceeds the hash.
    /// </summary>
    public static int Variant(string salt, string identifier, ReadOnlySpan<double> cumulative) =>
        Variant(VariantHash(salt, identifier), cumulative);

    /// <summary>The same by the hash.</summary>
    public static int Variant(double hash, ReadOnlySpan<double> cumulative)
    {
        for (var index = 0; index < cumulative.Length; index++)
        {
            if (cumulative[index] > hash)
            {
                return index;
            }
        }

        // The hash can be 1, and weights may sum to slightly less than 100 because of rounding. The last variant with a weight takes the
        // remainder.
        var last = cumulative.Length - 1;
        while (last > 0 && cumulative[last] <= cumulative[last - 1])
        {
            last--;
        }

        return last;
    }

    /// <summary>The running sums of weights in percent, as shares of one.</summary>
    public static double[] Cumulate(IEnumerable<decimal> weights)
    {
        var sum = 0m;
        return [.. weights.Select(weight => (double)((sum += weight) / 100))];
    }

    // The hash of these texts one after another.
    private static double Hash(string first, string second, string third, string fourth = "")
    {
        var size = System.Text.Encoding.UTF8.GetMaxByteCount(first.Length + second.Length + third.Length + fourth.Length);
        Span<byte> utf8 = size <= LongestOnStack ? stackalloc byte[LongestOnStack] : new byte[size];
        var length = System.Text.Encoding.UTF8.GetBytes(first, utf8);
        length += System.Text.Encoding.UTF8.GetBytes(second, utf8[length..]);
        length += System.Text.Encoding.UTF8.GetBytes(third, utf8[length..]);
        length += System.Text.Encoding.UTF8.GetBytes(fourth, utf8[length..]);
        return Share(Sha1.First60Bits(utf8[..length]));
    }
}
