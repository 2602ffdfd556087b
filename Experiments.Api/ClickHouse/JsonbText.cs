using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// JSON as PostgreSQL's <c>jsonb</c> writes it, so that the same content is the same text wherever events are kept: members by the length
/// of their names and then by their bytes, numbers without exponents, and only those escapes that must be.
/// </summary>
internal static class JsonbText
{
    // What has to be escaped besides: all that is below a space.
    private static readonly SearchValues<char> Escaped = SearchValues.Create([.. Enumerable.Range(0, ' ').Select(c => (char)c), '"', '\\']);

    /// <summary>The text of a JSON value that the database can store.</summary>
    public static string Of(string json)
    {
        using var document = StoredJson.Document(json);
        var text = new StringBuilder(json.Length + 16);
        Write(text, document.RootElement);
        return text.ToString();
    }

    private static void Write(StringBuilder text, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var members = value
                    .EnumerateObject()
                    .Select(member => (Name: Encoding.UTF8.GetBytes(member.Name), Member: member))
                    .ToList();
                members.Sort(
                    static (one, other) =>
                        one.Name.Length != other.Name.Length
                            ? one.Name.Length.CompareTo(other.Name.Length)
                            : one.Name.AsSpan().SequenceCompareTo(other.Name)
                );
                var next = "{";
                foreach (var (_, member) in members)
                {
                    text.Append(next);
                    Write(text, member.Name);
                    text.Append(": ");
                    Write(text, member.Value);
                    next = ", ";
                }

                text.Append(members.Count == 0 ? "{}" : "}");
                break;
            case JsonValueKind.Array:
                var begin = text.Length;
                foreach (var element in value.EnumerateArray())
                {
                    text.Append(text.Length == begin ? "[" : ", ");
                    Write(text, element);
                }

                text.Append(text.Length == begin ? "[]" : "]");
                break;
            case JsonValueKind.String:
                Write(text, value.GetString()!);
                break;
            case JsonValueKind.Number:
                WriteNumber(text, value.GetRawText());
                break;
            default:
                text.Append(value.GetRawText());
                break;
        }
    }

    private static void Write(StringBuilder text, ReadOnlySpan<char> value)
    {
        text.Append('"');
        for (int at; (at = value.IndexOfAny(Escaped)) >= 0; value = value[(at + 1)..])
        {
            text.Append(value[..at]);
            _ = value[at] switch
            {
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '"' or '\\' => text.Append('\\').Append(value[at]),
                var control => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)control:x4}"),
            };
        }

        text.Append(value).Append('"');
    }

    // As numeric does: every digit, as many after the point as were given, and no sign of a zero.
    private static void WriteNumber(StringBuilder text, ReadOnlySpan<char> number)
    {
        var mark = number.IndexOfAny('e', 'E');
        var mantissa = mark < 0 ? number : number[..mark];
        var exponent = mark < 0 ? 0 : int.Parse(number[(mark + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var unsigned = mantissa.TrimStart('-');
        var dot = unsigned.IndexOf('.');
        var whole = dot < 0 ? unsigned.Length : dot;
        var fraction = unsigned.Length > whole ? unsigned[(whole + 1)..] : default;
        var digits = string.Concat(unsigned[..whole], fraction);
        // Where the point is among the digits, which may lie before the first or behind the last.
        var point = whole + exponent;
        var scale = Math.Max(0, fraction.Length - exponent);
        if (mantissa[0] == '-' && digits.AsSpan().ContainsAnyExcept('0'))
        {
            text.Append('-');
        }

        var first = point <= 0 ? "" : digits[..Math.Min(point, digits.Length)].PadRight(point, '0').TrimStart('0');
        text.Append(first.Length == 0 ? "0" : first);
        if (scale > 0)
        {
            text.Append('.').Append('0', Math.Max(0, -point)).Append(digits, Math.Max(0, point), digits.Length - Math.Max(0, point));
        }
    }
}
