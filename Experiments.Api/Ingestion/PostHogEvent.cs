using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Experiments.Api.Ingestion;

/// <summary>
/// An event that one of PostHog's SDKs captured, as an event of this service. <c>$feature_flag_called</c> with a variant is the exposure,
/// <c>uuid</c> the id, <c>properties</c> the metadata, <c>properties.value</c> the value, and <c>$groups</c> and <c>$set</c> the traits.
/// Strings are copied as they stand; the parser checks them.
/// </summary>
internal static class PostHogEvent
{
    // The event says these in members of their own.
    private static readonly string[] Moved =
    [
        "token",
        "api_key",
        "distinct_id",
        "$distinct_id",
        "$set",
        "$set_once",
        "$insert_id",
        "$time",
    ];

    private const string FormerIdentity = "$anon_distinct_id";

    // No event of an application has more, and one that has costs no more than this.
    private const int MostMembers = 2000;

    /// <summary>Writes the event. Returns whether it is one.</summary>
    /// <param name="e">The event.</param>
    /// <param name="otherwise">When it happened if it does not say so itself.</param>
    /// <param name="to">Where it is written, whatever this returns.</param>
    public static bool TryTranslate(JsonElement e, DateTime otherwise, ArrayBufferWriter<byte> to)
    {
        if (e.ValueKind != JsonValueKind.Object)
        {
            return false;
        }

        try
        {
            var properties = Object(e, "properties"u8) ?? default;
            var groups = Object(properties, "$groups"u8) ?? default;
            var set = Object(e, "$set"u8) ?? Object(properties, "$set"u8) ?? default;
            to.Write("{\"timestamp\":"u8);
            to.Write(Encoding.UTF8.GetBytes(Milliseconds(At(e, otherwise)).ToString(CultureInfo.InvariantCulture)));
            WriteAny(to, "id"u8, Text(e, "uuid"u8) ?? Text(properties, "$insert_id"u8));
            WriteAny(
                to,
                "identifier"u8,
                Any(e, "distinct_id"u8) ?? Any(e, "$distinct_id"u8) ?? Any(properties, "distinct_id"u8) ?? Any(properties, "$distinct_id"u8)
            );
            if (Exposure(e, properties) is var (flag, variant))
            {
                to.Write(",\"event\":\"$flag_exposure\""u8);
                WriteAny(to, "feature_name"u8, flag);
                // Whoever is held out is shown no variant.
                WriteAny(to, "value"u8, Raw(variant).StartsWith("\"holdout-"u8) ? null : variant);
                // Breakdowns and test identities go by what is known of the identity when it was exposed.
                WriteTraits(to, groups, set, properties);
            }
            else
            {
                WriteAny(to, "event"u8, Any(e, "event"u8));
                WriteValue(to, Any(properties, "value"u8) ?? Any(properties, "$value"u8) ?? Any(properties, "$feature_flag_response"u8));
                WriteTraits(to, groups, set, default);
                WriteMetadata(to, properties);
            }

            to.Write("}"u8);
            return true;
        }
        catch (InvalidOperationException)
        {
            // A name that is compared has half of a surrogate pair.
            return false;
        }
    }

    public static long Milliseconds(DateTime at) => (at - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMillisecond;

    /// <summary>The instant in a member, as ISO 8601 or in seconds or milliseconds since 1970; null without one that can be read.</summary>
    public static DateTime? Instant(JsonElement of, ReadOnlySpan<byte> name)
    {
        if (Any(of, name) is not { } given)
        {
            return null;
        }

        if (given.ValueKind == JsonValueKind.String)
        {
            return
                DateTimeOffset.TryParse(
                    given.GetString(),
                    CultureInfo.InvariantCulture,
                    DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
                    out var date
                )
                && date.UtcDateTime > DateTime.UnixEpoch
                ? date.UtcDateTime
                : null;
        }

        // Seconds reach this number in the year 5138, and milliseconds did in 1973.
        return given.ValueKind == JsonValueKind.Number && given.TryGetDouble(out var number) && number is > 0 and < 2e14
            ? DateTime.UnixEpoch.AddMilliseconds(number < 1e11 ? number * 1000 : number)
            : null;
    }

    // The name of the flag and the variant, both as strings.
    private static (JsonElement Flag, JsonElement Variant)? Exposure(JsonElement e, JsonElement properties) =>
        Text(e, "event"u8) is { } name
        && (name.ValueEquals("$feature_flag_called"u8) || name.ValueEquals("$experiment_exposure"u8))
        && Text(properties, "$feature_flag"u8) is { } flag
        && Text(properties, "$feature_flag_response"u8) is { } variant
            ? (flag, variant)
            : null;

    private static DateTime At(JsonElement e, DateTime otherwise) =>
        Instant(e, "timestamp"u8)
        ?? (
            Any(e, "offset"u8) is { ValueKind: JsonValueKind.Number } offset
            && offset.TryGetInt64(out var ago)
            && ago is >= 0 and < 1L << 40
                ? otherwise.AddMilliseconds(-ago)
                : otherwise
        );

    private static void WriteAny(ArrayBufferWriter<byte> to, ReadOnlySpan<byte> name, JsonElement? value)
    {
        if (value is { } given)
        {
            WriteName(to, name);
            to.Write(Raw(given));
        }
    }

    // A value is a string in an event of this service, also where it is a number.
    private static void WriteValue(ArrayBufferWriter<byte> to, JsonElement? value)
    {
        if (value is { ValueKind: JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False } given)
        {
            WriteName(to, "value"u8);
            var quote = given.ValueKind == JsonValueKind.String ? ""u8 : "\""u8;
            to.Write(quote);
            to.Write(Raw(given));
            to.Write(quote);
        }
    }

    // What is known of whoever did it: the groups, by which units are told apart, come first.
    private static void WriteTraits(ArrayBufferWriter<byte> to, JsonElement groups, JsonElement set, JsonElement properties)
    {
        if (new[] { groups, set, properties }.Any(members => members.ValueKind == JsonValueKind.Object))
        {
            WriteName(to, "traits"u8);
            to.Write("{"u8);
            var left = EventSizeLimits.TraitsBytes - 2;
            var written = new HashSet<string>(StringComparer.Ordinal);
            Write(to, groups, property => IsTrait(property) && written.Add(property.Name), ref left);
            Write(to, set, property => IsTrait(property) && written.Add(property.Name), ref left);
            Write(
                to,
                properties,
                property =>
                    IsTrait(property) && !property.Name.StartsWith("$feature", StringComparison.Ordinal) && written.Add(property.Name),
                ref left
            );
            to.Write("}"u8);
        }
    }

    private static void WriteMetadata(ArrayBufferWriter<byte> to, JsonElement properties)
    {
        if (properties.ValueKind == JsonValueKind.Object)
        {
            WriteName(to, "metadata"u8);
            to.Write("{"u8);
            // What the application says, and who it was before, comes before what the SDK adds, which ends where there is no more room.
            var left = int.MaxValue;
            var start = to.WrittenCount;
            Write(to, properties, property => property.NameEquals(FormerIdentity), ref left);
            Write(to, properties, property => !property.Name.StartsWith('$') && !Moved.Contains(property.Name), ref left);
            left = EventSizeLimits.MetadataBytes - (to.WrittenCount - start) - 2;
            Write(
                to,
                properties,
                property => property.Name.StartsWith('$') && !Moved.Contains(property.Name) && !property.NameEquals(FormerIdentity),
                ref left
            );
            to.Write("}"u8);
        }
    }

    // Writes the chosen members for as long as there is room for them.
    private static void Write(ArrayBufferWriter<byte> to, JsonElement of, Func<JsonProperty, bool> isChosen, ref int left)
    {
        if (of.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (var property in of.EnumerateObject().Take(MostMembers))
        {
            var name = JsonMarshal.GetRawUtf8PropertyName(property);
            var value = Raw(property.Value);
            var length = name.Length + value.Length + 4;
            if (length > left || !isChosen(property))
            {
                continue;
            }

            left -= length;
            to.Write(to.WrittenSpan[^1] == (byte)'{' ? "\""u8 : ",\""u8);
            to.Write(name);
            to.Write("\":"u8);
            to.Write(value);
        }
    }

    private static bool IsTrait(JsonProperty property) =>
        property.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False
        && property.Name.Length <= 200
        && Raw(property.Value).Length <= 2000
        && !Moved.Contains(property.Name);

    private static void WriteName(ArrayBufferWriter<byte> to, ReadOnlySpan<byte> name)
    {
        to.Write(",\""u8);
        to.Write(name);
        to.Write("\":"u8);
    }

    private static ReadOnlySpan<byte> Raw(JsonElement element) => JsonMarshal.GetRawUtf8Value(element);

    private static JsonElement? Any(JsonElement of, ReadOnlySpan<byte> name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out var found) && found.ValueKind != JsonValueKind.Null
            ? found
            : null;

    private static JsonElement? Text(JsonElement of, ReadOnlySpan<byte> name) =>
        Any(of, name) is { ValueKind: JsonValueKind.String } found && !found.ValueEquals(""u8) ? found : null;

    private static JsonElement? Object(JsonElement of, ReadOnlySpan<byte> name) =>
        Any(of, name) is { ValueKind: JsonValueKind.Object } found ? found : null;
}
