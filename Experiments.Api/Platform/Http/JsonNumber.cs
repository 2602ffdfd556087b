using System.Buffers.Text;

namespace Experiments.Api.Platform.Http;

/// <summary>Which numbers of a body are taken.</summary>
internal static class JsonNumber
{
    private const int MaxExponent = 64;

    /// <summary>
    /// Whether this number, as it is written, is zero or between 1e-64 and 1e64: far beyond what is counted here, and near
    /// enough to be written out in full, as the database does.
    /// </summary>
    public static bool Fits(ReadOnlySpan<byte> written)
    {
        var mark = written.IndexOfAny((byte)'e', (byte)'E');
        var digits = mark < 0 ? written : written[..mark];
        if (written.Length > 2 * MaxExponent)
        {
            // As many digits as this are no number that anybody has measured.
            return false;
        }

        if (mark < 0 && written.Length <= MaxExponent)
        {
            return true;
        }

        if (!digits.ContainsAnyInRange((byte)'1', (byte)'9'))
        {
            // Zero; but the database would still write out its exponent.
            var exponent = mark < 0 ? default : written[(mark + 1)..].TrimStart("+-"u8).TrimStart((byte)'0');
            return exponent.Length <= 2;
        }

        return Utf8Parser.TryParse(written, out double number, out var read)
            && read == written.Length
            && Math.Abs(number) is >= 1e-64 and <= 1e64;
    }
}
