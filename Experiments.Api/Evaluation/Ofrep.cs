using System.Buffers;
using System.IO.Hashing;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Evaluation;

/// <summary>The request and error formats of the OpenFeature Remote Evaluation Protocol (0.3.0).</summary>
internal static class Ofrep
{
    private static readonly Error NotJson = new("PARSE_ERROR", "The body is not JSON in UTF-8.");
    private static readonly Error TooLarge = new("PARSE_ERROR", Problem.TooLarge.Advice);
    private static readonly Error NotAnObject = new("PARSE_ERROR", "The body must be a JSON object with a 'context'.");
    private static readonly Error NoContext = new("INVALID_CONTEXT", "Send a 'context' that is an object.");
    private static readonly Error NoText = new("INVALID_CONTEXT", "The 'targetingKey' must be a string or a number.");

    /// <summary>Reads <c>{"context": {"targetingKey": ...}}</c>, or returns the error in it.</summary>
    public static ValueTask<(Context? Context, Error? Error)> Read(HttpRequest request, Snapshot snapshot)
    {
        if (request.ContentLength > RequestBody.Limit)
        {
            return new((null, TooLarge));
        }

        // The body has nearly always come along with the headers.
        var reader = request.BodyReader;
        return reader.TryRead(out var read) && read.IsCompleted ? new(Parse(reader, read, snapshot)) : ReadOn(request, read, snapshot);
    }

    /// <summary>Writes an error in the format of the protocol.</summary>
    public static Task Fail(HttpContext http, int status, string? key, Error error) =>
        ServedResponse.Write(http, JsonSerializer.SerializeToUtf8Bytes(new EvaluationFailure(key, error.Code, error.Details)), status);

    /// <summary>Rejects an environment key. The protocol requires no body here; this one says what to do.</summary>
    public static Task Fail(HttpContext http, ProblemResult refusal) =>
        Fail(http, refusal.Problem.Status, http.GetRouteValue("key") as string, new("GENERAL", refusal.Detail));

    private static async ValueTask<(Context? Context, Error? Error)> ReadOn(HttpRequest request, ReadResult read, Snapshot snapshot)
    {
        var reader = request.BodyReader;
        while (!read.IsCompleted)
        {
            if (read.Buffer.Length > RequestBody.Limit)
            {
                throw new BadHttpRequestException("The body is too large.", StatusCodes.Status413PayloadTooLarge);
            }

            if (!read.Buffer.IsEmpty)
            {
                reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            }

            read = await reader.ReadAsync(request.HttpContext.RequestAborted);
        }

        return Parse(reader, read, snapshot);
    }

    private static (Context? Context, Error? Error) Parse(PipeReader reader, ReadResult read, Snapshot snapshot)
    {
        var parsed = Parse(read.Buffer, snapshot);
        reader.AdvanceTo(read.Buffer.End);
        return parsed;
    }

    private static (Context? Context, Error? Error) Parse(ReadOnlySequence<byte> body, Snapshot snapshot)
    {
        try
        {
            var json = new Utf8JsonReader(body);
            json.Read();
            if (json.TokenType != JsonTokenType.StartObject)
            {
                return (null, NotAnObject);
            }

            (Context?, Error?) found = (null, NoContext);
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                var isContext = json.ValueTextEquals("context"u8);
                json.Read();
                if (isContext && json.TokenType == JsonTokenType.StartObject)
                {
                    found = ParseContext(ref json, body, snapshot);
                }
                else
                {
                    json.Skip();
                }
            }

            return json.Read() ? (null, NotJson) : found;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // The reader throws the second exception for an unpaired surrogate.
            return (null, NotJson);
        }
    }

    private static (Context?, Error?) ParseContext(ref Utf8JsonReader json, ReadOnlySequence<byte> body, Snapshot snapshot)
    {
        var start = json.TokenStartIndex;
        string? key = null;
        Error? error = null;
        var others = new Units(null);
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var isKey = json.ValueTextEquals("targetingKey"u8);
            var unit = UnitKey(ref json, snapshot);
            json.Read();
            if (unit is not null)
            {
                others.Add(
                    unit,
                    json.TokenType == JsonTokenType.String ? json.GetString()
                        : json.TokenType == JsonTokenType.Number ? Domain.UnitKey.Digits(Digits(ref json))
                        : null
                );
            }

            if (!isKey || json.TokenType == JsonTokenType.Null)
            {
                json.Skip();
            }
            else if (json.TokenType is JsonTokenType.String or JsonTokenType.Number)
            {
                var text = json.TokenType == JsonTokenType.String ? json.GetString()! : Digits(ref json);
                (key, error) = (text.Length == 0 ? null : text, Identity.Fault(text) is { } fault ? new("INVALID_CONTEXT", fault) : null);
            }
            else
            {
                json.Skip();
                error = NoText;
            }
        }

        return error is null ? (new(others.For(key), body.Slice(start, json.BytesConsumed - start)), null) : (null, error);
    }

    private static string? UnitKey(ref Utf8JsonReader name, Snapshot snapshot)
    {
        foreach (var key in snapshot.UnitKeys)
        {
            if (name.ValueTextEquals(key))
            {
                return key;
            }
        }

        return null;
    }

    // A number identifies by its digits.
    private static string Digits(ref Utf8JsonReader json) =>
        Encoding.UTF8.GetString(json.HasValueSequence ? json.ValueSequence.ToArray() : json.ValueSpan);

    internal sealed record Error(string Code, string Details);

    /// <summary>What is evaluated for, by the targeting key and others, and a hash of the context as received.</summary>
    internal readonly record struct Context(Units Units, UInt128 Hash)
    {
        public Context(Units units, ReadOnlySequence<byte> context)
            : this(units, XxHash128.HashToUInt128(context.IsSingleSegment ? context.FirstSpan : context.ToArray())) { }
    }

    /// <summary>Why a flag was not evaluated, in the format of the protocol.</summary>
    /// <param name="Key">The name of the flag, if one was asked for.</param>
    /// <param name="ErrorCode">The reason, in words of the protocol.</param>
    /// <param name="ErrorDetails">What was wrong, and what to do.</param>
    internal sealed record EvaluationFailure(
        [property: JsonPropertyName("key"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Key,
        [property: JsonPropertyName("errorCode")] string ErrorCode,
        [property: JsonPropertyName("errorDetails")] string ErrorDetails
    );
}
