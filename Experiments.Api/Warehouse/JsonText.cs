using System.Text.Json;

namespace Experiments.Api.Warehouse;

/// <summary>JSON as warehouses give it.</summary>
internal static class JsonText
{
    /// <summary>
    /// The object that a text is: JSON, or the JSON string that a column of text with JSON became. Null for anything else, and for what
    /// PostgreSQL could not keep.
    /// </summary>
    public static string? Object(string? text)
    {
        if (text is null || text.Contains("\\u0000", StringComparison.Ordinal))
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind switch
            {
                JsonValueKind.Object => text,
                JsonValueKind.String when document.RootElement.GetString() is ['{', ..] inner => Object(inner),
                _ => null,
            };
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
