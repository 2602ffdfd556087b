using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Platform.Data;

/// <summary>
/// Reads and writes JSON stored in the database. The depth limit is that of a body, plus a few levels for the JSON that surrounds it.
/// </summary>
internal static class StoredJson
{
    private const int MaxDepth = 256;
    private const int Format = 1;
    private const string FormatMember = "format";

    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = MaxDepth };
    private static readonly JsonSerializerOptions Writing = new() { MaxDepth = MaxDepth };

    // Another release may have written it: unknown members are ignored, and missing members have their defaults.
    private static readonly JsonSerializerOptions Lenient = new(ApiJson.Options)
    {
        MaxDepth = MaxDepth,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
        AllowDuplicateProperties = true,
    };

    /// <summary>A document that this release or another has stored.</summary>
    /// <exception cref="JsonException">It is of another shape altogether.</exception>
    public static T Read<T>(string stored)
        where T : class
    {
        using var document = Document(stored);
        if (
            document.RootElement.ValueKind == JsonValueKind.Object
            && document.RootElement.TryGetProperty(FormatMember, out var format)
            && (!format.TryGetInt32(out var number) || number > Format)
        )
        {
            throw new JsonException($"A stored {typeof(T).Name} has format {format}, and this release reads formats up to {Format}.");
        }

        return document.Deserialize<T>(Lenient) ?? throw new JsonException($"A stored {typeof(T).Name} is null.");
    }

    /// <summary>A document with the number of its format, which increases when an older release could misread what is stored.</summary>
    public static string Write<T>(T value)
        where T : class
    {
        var document = JsonSerializer.SerializeToNode(value, ApiJson.Options)!.AsObject();
        document.Insert(0, FormatMember, Format);
        return Text(document);
    }

    /// <summary>The same for data that can be recomputed: returns null if it has another structure or contains an unknown value.</summary>
    public static T? TryRead<T>(string? stored)
        where T : class
    {
        try
        {
            return stored is null ? null : Read<T>(stored);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static JsonNode? Parse(string stored) => JsonNode.Parse(stored, documentOptions: Reading);

    public static JsonDocument Document(string stored) => JsonDocument.Parse(stored, Reading);

    /// <summary>The variants of an experiment, in their order, or the options of a feature.</summary>
    /// <param name="stored">The document.</param>
    /// <param name="weight">The member with the weight.</param>
    public static IReadOnlyList<(string Key, JsonNode? Value, decimal Weight)> Variants(string stored, string weight = "weight") =>
        [
            .. Parse(stored)!
                .AsArray()
                .Select(variant => (variant!["key"]!.GetValue<string>(), variant["value"], variant[weight]!.GetValue<decimal>())),
        ];

    public static byte[] Utf8(JsonNode json) => JsonSerializer.SerializeToUtf8Bytes(json, Writing);

    public static string Text(JsonNode json) => json.ToJsonString(Writing);
}
