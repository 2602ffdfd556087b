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
        where T : class => JsonSerializer.Deserialize<T>(stored, Lenient) ?? throw new JsonException($"A stored {typeof(T).Name} is null.");

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

    /// <summary>The variants of an experiment, in their order.</summary>
    public static IReadOnlyList<(string Key, JsonNode? Value, decimal Weight)> Variants(string stored) =>
        [
            .. Parse(stored)!
                .AsArray()
                .Select(variant => (variant!["key"]!.GetValue<string>(), variant["value"], variant["weight"]!.GetValue<decimal>())),
        ];

    public static byte[] Utf8(JsonNode json) => JsonSerializer.SerializeToUtf8Bytes(json, Writing);

    public static string Text(JsonNode json) => json.ToJsonString(Writing);
}
