using System.Globalization;
using System.Text.Json;

namespace Experiments.Api.Domain;

/// <summary>Finds the value of a unit other than the identifier, such as a company, in the traits or the metadata of an event.</summary>
internal static class UnitKey
{
    /// <summary>
    /// The value of the key: a text or a number of 1 to 2000 characters. Traits come first, also where they hold something else. The same
    /// as the function <c>unit_of</c> of the database.
    /// </summary>
    public static string? ValueOf(string key, JsonElement? traits, JsonElement? metadata) =>
        (Member(traits, key) ?? Member(metadata, key)) is { } member ? Text(member) : null;

    /// <summary>A number of JSON as PostgreSQL writes it: without an exponent, and without a sign where it is zero.</summary>
    public static string Digits(string number)
    {
        var isNegative = number.StartsWith('-');
        var end = number.AsSpan().IndexOfAny('e', 'E');
        if (!isNegative && end < 0)
        {
            return number;
        }

        var mantissa = number[(isNegative ? 1 : 0)..(end < 0 ? number.Length : end)];
        var exponent = end < 0 ? 0 : int.Parse(number.AsSpan(end + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        // What would be longer than a unit may be is none, however it is written.
        if (Math.Abs(exponent) > 2 * Identity.MaxLength)
        {
            return number;
        }

        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        var scale = (point < 0 ? 0 : mantissa.Length - point - 1) - exponent;
        digits = scale <= 0 ? digits + new string('0', -scale) : digits.PadLeft(scale + 1, '0');
        var whole = (scale <= 0 ? digits : digits[..^scale]).TrimStart('0');
        var plain = (whole.Length == 0 ? "0" : whole) + (scale <= 0 ? "" : $".{digits[^scale..]}");
        return isNegative && plain.AsSpan().ContainsAnyInRange('1', '9') ? $"-{plain}" : plain;
    }

    private static JsonElement? Member(JsonElement? members, string key) =>
        members is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty(key, out var member) ? member : null;

    private static string? Text(JsonElement member) =>
        member.ValueKind switch
        {
            JsonValueKind.Number => Digits(member.GetRawText()) is var digits
            && Identity.Fits(digits)
            && !digits.AsSpan().ContainsAny('e', 'E')
                ? digits
                : null,
            JsonValueKind.String => member.GetString() is { Length: > 0 } text && Identity.Fits(text) ? text : null,
            _ => null,
        };
}
