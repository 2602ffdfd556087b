using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Wire;

namespace Experiments.Api.Serving;

/// <summary>What the OpenFeature Remote Evaluation Protocol (0.3.0) asks and how it refuses.</summary>
internal static class Ofrep
{
    private static readonly JsonSerializerOptions Sparse = new() { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Reads <c>{"context": {"targetingKey": ...}}</c> and hands on the key and the context's bytes, or what is wrong with it.</summary>
    public static async Task<(Context? Context, Error? Error)> Read(HttpRequest request)
    {
        var reader = request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync(request.HttpContext.RequestAborted);
            if (read.Buffer.Length > RequestBody.Limit)
            {
                throw new BadHttpRequestException("The body is too large.", StatusCodes.Status413PayloadTooLarge);
            }

            if (read.IsCompleted)
            {
                var parsed = Parse(read.Buffer);
                reader.AdvanceTo(read.Buffer.End);
                return parsed;
            }

            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    /// <summary>Writes an error as the protocol has it.</summary>
    public static Task Refuse(HttpContext http, int status, string? key, Error error) =>
        ServedAnswer.Write(http, JsonSerializer.SerializeToUtf8Bytes(new { key, errorCode = error.Code, errorDetails = error.Details }, Sparse), status);

    /// <summary>Refuses a key of the environment. The protocol asks for no body here; this one tells what to do.</summary>
    public static Task Refuse(HttpContext http, Refusal refusal) =>
        Refuse(http, refusal.Problem.Status, http.GetRouteValue("key") as string, new("GENERAL", refusal.Detail));

    private static (Context? Context, Error? Error) Parse(ReadOnlySequence<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return (null, new("PARSE_ERROR", "The body must be a JSON object with a 'context'."));
            }

            (Context?, Error?) found = (null, new("INVALID_CONTEXT", "Send a 'context' that is an object."));
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isContext = reader.ValueTextEquals("context"u8);
                reader.Read();
                if (isContext && reader.TokenType == JsonTokenType.StartObject)
                {
                    found = ParseContext(ref reader, body);
                }
                else
                {
                    reader.Skip();
                }
            }

            return reader.Read() ? throw new JsonException() : found;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // The second is what half of a surrogate pair comes out as.
            return (null, new("PARSE_ERROR", "The body is not JSON in UTF-8."));
        }
    }

    private static (Context?, Error?) ParseContext(ref Utf8JsonReader reader, ReadOnlySequence<byte> body)
    {
        var start = reader.TokenStartIndex;
        (string? Key, Error? Error) targeting = (null, new("TARGETING_KEY_MISSING", "Send a 'targetingKey' in the context: the identifier of the user, device or whatever is assigned."));
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isKey = reader.ValueTextEquals("targetingKey"u8);
            reader.Read();
            if (!isKey)
            {
                reader.Skip();
            }
            else if (reader.TokenType != JsonTokenType.String)
            {
                reader.Skip();
                targeting = (null, new("INVALID_CONTEXT", "The 'targetingKey' must be a string."));
            }
            else if (reader.GetString() is { Length: > 0 } key)
            {
                targeting = Identity.Fits(key) ? (key, null) : (null, new("INVALID_CONTEXT", Identity.TooLong));
            }
        }

        return targeting.Error is null ? (new(targeting.Key!, body.Slice(start, reader.BytesConsumed - start).ToArray()), null) : (null, targeting.Error);
    }

    internal sealed record Error(string Code, string Details);

    /// <summary>Who is asking, and the context as it came.</summary>
    internal readonly record struct Context(string TargetingKey, byte[] Bytes);
}
