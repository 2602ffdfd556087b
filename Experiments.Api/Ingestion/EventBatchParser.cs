using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Experiments.Api.Domain;
using Experiments.Api.Platform;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Reads <c>{"events": [...]}</c> in one pass. An invalid event is reported individually and does not affect the others. A body that is
/// not JSON, has another structure, or has no valid event, is rejected as a whole.
/// </summary>
internal ref struct EventBatchParser
{
    private readonly DeduplicationKeyHasher _key;
    private readonly DateTime _now;
    private readonly ReadOnlySpan<byte> _body;
    private Utf8JsonReader _json;
    private string? _lastName;
    private string? _lastFeature;

    private EventBatchParser(ReadOnlySpan<byte> body, long environmentId, DateTime now)
    {
        _body = body;
        _json = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = EventSizeLimits.ReadDepth });
        _key = new DeduplicationKeyHasher(environmentId);
        _now = now;
    }

    public static Result<EventBatch> Read(ReadOnlySpan<byte> body, long environmentId, DateTime now)
    {
        if (!Utf8.IsValid(body))
        {
            return new ProblemResult(Problem.Malformed, "The body is not valid UTF-8.");
        }

        try
        {
            return new EventBatchParser(body, environmentId, now).Read();
        }
        catch (JsonException exception)
        {
            return new ProblemResult(
                Problem.Malformed,
                $"The body is not JSON: see line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}."
            );
        }
    }

    private Result<EventBatch> Read()
    {
        if (!_json.Read() || _json.TokenType != JsonTokenType.StartObject)
        {
            return new ProblemResult(Problem.Malformed, "The body must be a JSON object with 'events'.");
        }

        var batch = new EventBatch();
        ProblemResult? refusal = null;
        bool hasEvents = false,
            hasSentAt = false;
        while (Next(JsonTokenType.EndObject))
        {
            var name = JsonText.TryRead(ref _json, out var text, out _) ? text : "(name)";
            if (name is not ("events" or "sent_at"))
            {
                batch.Ignore(name);
                _json.Skip();
                continue;
            }

            ref var isGiven = ref name == "events" ? ref hasEvents : ref hasSentAt;
            if (isGiven)
            {
                refusal ??= ProblemResult.Field(name, "This is given more than once.");
                _json.Skip();
                continue;
            }

            isGiven = true;
            _json.Read();
            if (name == "sent_at")
            {
                (batch.Skew, var wrong) = EventTime.ReadSentAt(ref _json, _now);
                refusal ??= wrong;
                continue;
            }

            if (_json.TokenType != JsonTokenType.StartArray)
            {
                refusal ??= ProblemResult.Field("events", "This must be a list.");
                _json.Skip();
                continue;
            }

            for (var index = 0; Next(JsonTokenType.EndArray); index++)
            {
                if (index == EventSizeLimits.Batch)
                {
                    return ProblemResult.Field("events", $"There may be {EventSizeLimits.Batch} of these at most in one request.");
                }

                ReadEvent(batch, index);
            }
        }

        // Nothing may follow. Otherwise the reader throws.
        _json.Read();
        batch.Correct(_now);
        return refusal is not null ? refusal
            : batch.Events.Count + batch.Rejected.Count == 0 ? ProblemResult.Field("events", "This is required and may not be empty.")
            : batch.Accepted == 0 ? ProblemResult.Fields(batch.Rejected.Select(rejection => rejection.AsField))
            : batch;
    }

    private void ReadEvent(EventBatch batch, int index)
    {
        if (_json.TokenType != JsonTokenType.StartObject)
        {
            _json.Skip();
            batch.Reject(index, new("", "must be an object"));
            return;
        }

        EventError? error = null;
        string? name = null,
            feature = null,
            identifier = null,
            value = null,
            id = null;
        (string Json, ulong Hash)? traits = null,
            metadata = null;
        DateTime? at = null;
        var seen = 0;
        while (Next(JsonTokenType.EndObject))
        {
            var member = EventMembers.At(ref _json);
            if (member == EventMember.Unknown || (seen & 1 << (int)member) != 0)
            {
                if (!JsonText.TryRead(ref _json, out var unknown, out var why))
                {
                    error ??= new("", $"the name of a member {why}", IsSentence: true);
                }
                else if (member == EventMember.Unknown)
                {
                    batch.Ignore(unknown);
                }
                else
                {
                    error ??= new(EventError.Member(unknown), "is given more than once");
                }

                _json.Skip();
                continue;
            }

            seen |= 1 << (int)member;
            _json.Read();
            switch (member)
            {
                case EventMember.Event:
                    name = Text(".event", EventSizeLimits.Event, ref _lastName, ref error);
                    break;
                case EventMember.FeatureName:
                    feature = Text(".feature_name", EventSizeLimits.FeatureName, ref _lastFeature, ref error);
                    break;
                case EventMember.Identifier:
                    identifier =
                        _json.TokenType == JsonTokenType.Number
                            // A number identifies by its digits.
                            ? Encoding.UTF8.GetString(_json.ValueSpan)
                            : Text(".identifier", Identity.MaxLength, ref error);
                    break;
                case EventMember.Value:
                    value = Text(".value", EventSizeLimits.ValueBytes, ref error, inBytes: true);
                    break;
                case EventMember.Id:
                    id = Text(".id", EventSizeLimits.Id, ref error);
                    break;
                case EventMember.Traits:
                    traits = Object(".traits", EventSizeLimits.TraitsBytes, ofTraits: true, ref error);
                    break;
                case EventMember.Metadata:
                    metadata = Object(".metadata", EventSizeLimits.MetadataBytes, ofTraits: false, ref error);
                    break;
                case EventMember.Timestamp:
                    at = EventTime.Read(ref _json, _now, ref error);
                    break;
            }
        }

        error ??= EventRules.Fault((seen & 1 << (int)EventMember.Timestamp) != 0, name, feature, id);
        if (error is { } fault)
        {
            batch.Reject(index, fault);
            return;
        }

        var key = id is null ? _key.OfContent(at!.Value, name!, feature, identifier, value, traits?.Hash, metadata?.Hash) : _key.OfId(id);
        var received = new ReceivedEvent(
            at!.Value,
            key,
            id is null ? null : _key.WideOfId(id),
            name!,
            feature,
            identifier,
            value,
            traits?.Json,
            metadata?.Json
        );
        if (EventTime.IsTooFarAhead(received.At, _now))
        {
            batch.Doubt(index, received);
        }
        else
        {
            batch.Accept(received);
        }
    }

    private bool Next(JsonTokenType end) => _json.Read() && _json.TokenType != end;

    // Most events of a request have the same name, so they share one string.
    private string? Text(string path, int limit, ref string? last, ref EventError? error)
    {
        if (last is not null && _json.TokenType == JsonTokenType.String && !_json.ValueIsEscaped && _json.ValueTextEquals(last))
        {
            return last;
        }

        var text = Text(path, limit, ref error);
        last = text ?? last;
        return text;
    }

    private string? Text(string path, int limit, ref EventError? error, bool inBytes = false)
    {
        if (_json.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        if (_json.TokenType != JsonTokenType.String)
        {
            _json.Skip();
            error ??= new(path, "must be a string or null");
            return null;
        }

        if (!JsonText.TryRead(ref _json, out var text, out var why))
        {
            error ??= new(path, why);
            return null;
        }

        // Every character takes at least one byte, so a string that is short in bytes needs no counting.
        var length =
            _json.ValueSpan.Length <= limit ? 0
            : inBytes ? Encoding.UTF8.GetByteCount(text)
            : text.EnumerateRunes().Count();
        if (length > limit)
        {
            error ??= new(path, $"may have {limit} {(inBytes ? "bytes" : "characters")} at most");
            return null;
        }

        return text;
    }

    private (string Json, ulong Hash)? Object(string path, int limit, bool ofTraits, ref EventError? error)
    {
        if (_json.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        if (_json.TokenType != JsonTokenType.StartObject)
        {
            _json.Skip();
            error ??= new(path, "must be an object or null");
            return null;
        }

        var start = (int)_json.TokenStartIndex;
        EventError? wrong = null;
        var hash = JsonContent.Hash(ref _json, ofTraits ? EventSizeLimits.Trait : EventSizeLimits.Any, ref wrong);
        var length = (int)_json.BytesConsumed - start;
        if (length > limit)
        {
            wrong = new("", $"may have {limit} bytes at most");
        }

        if (wrong is { } fault)
        {
            error ??= fault.Within(path);
            return null;
        }

        return (Encoding.UTF8.GetString(_body.Slice(start, length)), hash);
    }
}
