using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// The exact sums of an arm as the database holds them. Sums about the means are the small difference of large numbers, so they are
/// computed from these before they become floating-point numbers.
/// </summary>
internal sealed class ExactSums
{
    // As integers, each in units of a power of ten that is the same for all sums of the first degree, and squared for the second.
    private readonly BigInteger _y;
    private readonly BigInteger _yy;
    private readonly BigInteger _d;
    private readonly BigInteger _dd;
    private readonly BigInteger _yd;
    private readonly BigInteger _x;
    private readonly BigInteger _xx;
    private readonly BigInteger _yx;
    private readonly int _digits;

    private static readonly string[] Names = ["y", "yy", "d", "dd", "yd", "x", "xx", "yx"];

    /// <param name="arm">The sums y, yy, d, dd, yd, x, xx and yx as JSON numbers.</param>
    public ExactSums(JsonNode arm)
    {
        string Text(string sum) => arm[sum]!.ToJsonString();
        var texts = Names.Select(Text).ToArray();
        _digits = (texts.Max(Decimals) + 1) / 2 * 2;
        BigInteger Of(int index, int digits) => Integer(texts[index], digits);
        (_y, _d, _x) = (Of(0, _digits), Of(2, _digits), Of(5, _digits));
        (_yy, _dd, _yd, _xx, _yx) = (Of(1, 2 * _digits), Of(3, 2 * _digits), Of(4, 2 * _digits), Of(6, 2 * _digits), Of(7, 2 * _digits));
    }

    /// <summary>The sums about the means of <paramref name="n"/> identities.</summary>
    public CentredSums About(long n) =>
        n < 1
            ? default
            : new(About(n, _y, _y, _yy), About(n, _d, _d, _dd), About(n, _y, _d, _yd), About(n, _x, _x, _xx), About(n, _y, _x, _yx));

    // Σab - ΣaΣb / n.
    private double About(long n, BigInteger a, BigInteger b, BigInteger ab) =>
        Quotient((n * ab) - (a * b), n * BigInteger.Pow(10, 2 * _digits));

    // Scaled to 64 bits or more before the division, so that no digit of a double is lost.
    private static double Quotient(BigInteger dividend, BigInteger divisor)
    {
        if (dividend.IsZero)
        {
            return 0;
        }

        var shift = Math.Max(0, 64 + (int)(divisor.GetBitLength() - BigInteger.Abs(dividend).GetBitLength()));
        return Math.ScaleB((double)((dividend << shift) / divisor), -shift);
    }

    private static int Decimals(string text) => text.IndexOf('.') is var point and >= 0 ? text.Length - point - 1 : 0;

    private static BigInteger Integer(string text, int digits) =>
        BigInteger.Parse(text.Replace(".", "", StringComparison.Ordinal), CultureInfo.InvariantCulture)
        * BigInteger.Pow(10, digits - Decimals(text));
}
