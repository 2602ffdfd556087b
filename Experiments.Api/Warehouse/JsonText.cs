using System.Text;
using System.Text.Json;

namespace Experiments.Api.Warehouse;

/// <summary>JSON as warehouses give it.</summary>
internal static class JsonText
{
    /// <summary>
    /// The object that a text is: JSON, or the JSON string that a column of text with JSON became. Null for anything else, and for what
    /// an event that is sent could not hold, such as half of a surrogate pair.
    /// </summary>
    public static string? Object(string? text)
    {
        if (text is null)
        {
            return null;
        }

        try
        {
            var json = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
            json.Read();
            var root = json.TokenType;
            string? inner = null;
            do
            {
                if (
                    json.TokenType is JsonTokenType.String or JsonTokenType.PropertyName
                    && !Ingestion.JsonText.TryRead(ref json, out inner, out _)
                )
                {
                    return null;
                }
            } while (json.Read());

            return root switch
            {
                JsonTokenType.StartObject => text,
                JsonTokenType.String when inner?.TrimStart() is ['{', ..] => Object(inner),
                _ => null,
            };
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
