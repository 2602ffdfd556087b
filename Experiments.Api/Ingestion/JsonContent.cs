using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Hashes the content of a JSON value: the same content has the same hash, however it is spaced, escaped or ordered. Also checks for
/// content that the database cannot store.
/// </summary>
internal static class JsonContent
{
    /// <summary>
    /// Hashes the value at the reader's position and leaves the reader at its end. Reports the outermost error in
    /// <paramref name="wrong"/>.
    /// </summary>
    public static ulong Hash(ref Utf8JsonReader json, Limits limits, ref EventError? wrong)
    {
        if (json.CurrentDepth > EventSizeLimits.Depth)
        {
            wrong ??= new("", $"may be {EventSizeLimits.Depth} levels deep at most");
        }

        switch (json.TokenType)
        {
            case JsonTokenType.StartObject:
                // The order of members is irrelevant, so their hashes are summed.
                var sum = 1UL;
                var names = new HashSet<ulong>();
                while (json.Read() && json.TokenType != JsonTokenType.EndObject)
                {
                    var name = Text(ref json, ref wrong);
                    var longName = name is not null && name.Length > limits.Key && name.EnumerateRunes().Count() > limits.Key;
                    if (!names.Add(Of(name)))
                    {
                        wrong ??= new(EventError.Member(name), "is given more than once");
                    }

                    json.Read();
                    var isLong =
                        json.TokenType == JsonTokenType.String
                        && json.ValueSpan.Length > limits.Text
                        && Text(ref json, ref wrong)?.EnumerateRunes().Count() > limits.Text;
                    wrong ??=
                        longName ? new("", $"a key may have {limits.Key} characters at most", IsSentence: true)
                        : isLong ? new(EventError.Member(name), $"may have {limits.Text} characters at most")
                        : null;
                    sum += Mix(Of(name), Hash(ref json, Nested, ref wrong));
                }

                return Mix(2, sum);
            case JsonTokenType.StartArray:
                var chain = 3UL;
                while (json.Read() && json.TokenType != JsonTokenType.EndArray)
                {
                    chain = Mix(chain, Hash(ref json, Nested, ref wrong));
                }

                return Mix(4, chain);
            case JsonTokenType.String:
                return Mix(5, Of(Text(ref json, ref wrong)));
            case JsonTokenType.Number:
                wrong ??= JsonNumber.Fits(json.ValueSpan) ? null : new("", "holds a number out of range");
                return Mix(6, XxHash3.HashToUInt64(json.ValueSpan));
            default:
                return (ulong)json.TokenType << 8;
        }
    }

    private static readonly Limits Nested = new(int.MaxValue, int.MaxValue);

    private static string? Text(ref Utf8JsonReader json, ref EventError? wrong)
    {
        if (JsonText.TryRead(ref json, out var text, out var why))
        {
            return text;
        }

        wrong ??= new("", why);
        return null;
    }

    private static ulong Of(string? text) => XxHash3.HashToUInt64(MemoryMarshal.AsBytes(text.AsSpan()));

    private static ulong Mix(ulong one, ulong other)
    {
        ReadOnlySpan<ulong> both = [one, other];
        return XxHash3.HashToUInt64(MemoryMarshal.AsBytes(both));
    }

    /// <summary>The maximum number of characters of a top-level key, and of a string value below it.</summary>
    internal sealed record Limits(int Key, int Text);
}
