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
    private static readonly string[] First = ["y", "d", "x", "w"];
    private static readonly string[] Second = ["yy", "dd", "yd", "xx", "yx", "ww", "xw", "yw", "dx", "dw"];

    // As integers, each in units of a power of ten that is the same for all sums of the first degree, and squared for the second.
    private readonly Dictionary<string, BigInteger> _sums;
    private readonly int _digits;

    /// <param name="arm">The sums as JSON numbers: of y, d, x and w, and of the products of two of them; 0 where absent.</param>
    public ExactSums(JsonNode arm)
    {
        var texts = First.Concat(Second).ToDictionary(name => name, name => arm[name]?.ToJsonString() ?? "0");
        _digits = (texts.Values.Max(Decimals) + 1) / 2 * 2;
        _sums = texts.ToDictionary(sum => sum.Key, sum => Integer(sum.Value, sum.Key.Length == 1 ? _digits : 2 * _digits));
    }

    /// <summary>The sums about the means of <paramref name="n"/> identities.</summary>
    public CentredSums About(long n)
    {
        return n < 1
            ? default
            : new(Of("yy"), Of("dd"), Of("yd"), Of("xx"), Of("yx"))
            {
                WW = Of("ww"),
                XW = Of("xw"),
                YW = Of("yw"),
                DX = Of("dx"),
                DW = Of("dw"),
            };

        double Of(string product) => About(n, _sums[product[..1]], _sums[product[1..]], _sums[product]);
    }

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
