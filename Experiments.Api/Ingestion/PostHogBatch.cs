using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Experiments.Api.Platform;

namespace Experiments.Api.Ingestion;

/// <summary>
/// What PostHog's SDKs capture, as events of this service: <c>{"api_key", "batch": [...], "sent_at"}</c>, a list of events, or one event.
/// The events keep their places, so that one that is rejected is named by its own.
/// </summary>
internal static class PostHogBatch
{
    /// <summary>
    /// The key of the environment, which PostHog calls the project's: on the body itself, or in an event; null without one.
    /// </summary>
    /// <param name="body">JSON.</param>
    /// <param name="inEvents">Whether to look in the events, where posthog-js says it as the property <c>token</c>.</param>
    public static string? KeyIn(ReadOnlySpan<byte> body, bool inEvents)
    {
        try
        {
            var json = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = EventSizeLimits.ReadDepth });
            // [{"properties": {"token": ..., or {"batch": [{"properties": {"token": ...
            var deepest = body.TrimStart(" \t\r\n"u8).StartsWith("["u8) ? 3 : 4;
            while (json.Read())
            {
                if (json.TokenType != JsonTokenType.PropertyName)
                {
                    continue;
                }

                var isKey =
                    json.ValueTextEquals("token"u8) || (json.ValueTextEquals("api_key"u8) && json.CurrentDepth <= (inEvents ? 2 : 1));
                json.Read();
                if (isKey && json.TokenType == JsonTokenType.String && (inEvents || json.CurrentDepth == 1))
                {
                    return json.GetString() is { Length: > 0 } key ? key : null;
                }

                if (!inEvents || json.CurrentDepth >= deepest)
                {
                    json.Skip();
                }
            }

            return null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // It is told when the body is read.
            return null;
        }
    }

    /// <summary>The same events as <see cref="EventBatchParser"/> reads them.</summary>
    /// <param name="body">JSON.</param>
    /// <param name="now">The time, for events without one.</param>
    public static Result<byte[]> Translate(ReadOnlyMemory<byte> body, DateTime now)
    {
        if (!Utf8.IsValid(body.Span))
        {
            return new ProblemResult(Problem.Malformed, "The body is not valid UTF-8.");
        }

        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = EventSizeLimits.ReadDepth });
            var root = document.RootElement;
            var events = EventsOf(root);
            if (events is null or [])
            {
                return ProblemResult.Field("batch", $"This is required: 1 to {EventSizeLimits.Batch} events.");
            }

            var envelope = new ArrayBufferWriter<byte>(body.Length + 256);
            envelope.Write("{"u8);
            var sent = root.ValueKind == JsonValueKind.Object ? PostHogEvent.Instant(root, "sent_at"u8) : null;
            // A clock that is not corrected says nothing of events without a time either.
            sent = sent is { } said && (now - said).Duration() <= ClockSkew.Most ? sent : null;
            if (sent is { } at)
            {
                envelope.Write("\"sent_at\":"u8);
                envelope.Write(Encoding.UTF8.GetBytes(PostHogEvent.Milliseconds(at).ToString(CultureInfo.InvariantCulture)));
                envelope.Write(","u8);
            }

            envelope.Write("\"events\":["u8);
            var one = new ArrayBufferWriter<byte>(1024);
            var isFirst = true;
            foreach (var e in events)
            {
                envelope.Write(isFirst ? ""u8 : ","u8);
                isFirst = false;
                one.ResetWrittenCount();
                // What cannot be read is rejected in its place.
                envelope.Write(PostHogEvent.TryTranslate(e, sent ?? now, one) ? one.WrittenSpan : "null"u8);
            }

            envelope.Write("]}"u8);
            return envelope.WrittenSpan.ToArray();
        }
        catch (JsonException exception)
        {
            return new ProblemResult(
                Problem.Malformed,
                $"The body is not JSON: see line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}."
            );
        }
        catch (InvalidOperationException)
        {
            return new ProblemResult(Problem.Malformed, "The body has a name or a time with half of a surrogate pair.");
        }
    }

    // Null where there are too many.
    private static JsonElement[]? EventsOf(JsonElement root)
    {
        var list = root.ValueKind == JsonValueKind.Object && root.TryGetProperty("batch"u8, out var batch) ? batch : root;
        return list.ValueKind == JsonValueKind.Array ? (list.GetArrayLength() > EventSizeLimits.Batch ? null : [.. list.EnumerateArray()])
            : list.ValueKind == JsonValueKind.Object && list.TryGetProperty("event"u8, out _) ? [list]
            : [];
    }
}
