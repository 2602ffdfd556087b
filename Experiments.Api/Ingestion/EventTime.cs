using System.Globalization;
using System.Text.Json;
using Experiments.Api.Platform;

namespace Experiments.Api.Ingestion;

/// <summary>Reads when an event happened, and when a request was sent, by the clock of the sender.</summary>
internal static class EventTime
{
    public static readonly EventError TooFarAhead = new(".timestamp", "is more than 24 hours ahead");

    // The last second of the year 9999.
    private const long End = 253_402_300_800_000;

    /// <summary>Whether a timestamp, corrected by the clock skew, lies further ahead of us than any clock should be.</summary>
    public static bool IsTooFarAhead(DateTime at, DateTime now) => at > now + EventSizeLimits.Ahead;

    /// <summary>Reads a timestamp. One that a clock skew could still explain is no error yet.</summary>
    public static DateTime? Read(ref Utf8JsonReader json, DateTime now, ref EventError? error)
    {
        if (json.TokenType == JsonTokenType.Number && json.TryGetInt64(out var milliseconds))
        {
            var at = milliseconds is > 0 and < End ? DateTime.UnixEpoch.AddMilliseconds(milliseconds) : DateTime.MinValue;
            if (milliseconds > 0 && (at == DateTime.MinValue || IsTooFarAhead(at - ClockSkew.Most, now)))
            {
                error ??= TooFarAhead;
            }
            else if (at <= EventSizeLimits.Earliest)
            {
                error ??= new(".timestamp", "must be after 2020-01-01, in milliseconds since 1970");
            }

            return at;
        }

        json.Skip();
        error ??= new(".timestamp", "must be a whole number: milliseconds since 1970");
        return null;
    }

    /// <summary>Reads when a request was sent, as the skew of the clock that says so.</summary>
    public static (TimeSpan Skew, ProblemResult? Refusal) ReadSentAt(ref Utf8JsonReader json, DateTime now)
    {
        switch (json.TokenType)
        {
            case JsonTokenType.Null:
                return (TimeSpan.Zero, null);
            case JsonTokenType.Number when json.TryGetInt64(out var milliseconds) && milliseconds is >= 0 and < End:
                return (ClockSkew.Of(DateTime.UnixEpoch.AddMilliseconds(milliseconds), now), null);
            case JsonTokenType.String
                when JsonText.TryRead(ref json, out var text, out _)
                    && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date):
                return (ClockSkew.Of(date.UtcDateTime, now), null);
            default:
                json.Skip();
                return (
                    TimeSpan.Zero,
                    ProblemResult.Field("sent_at", "This must be milliseconds since 1970, or an ISO 8601 date and time.")
                );
        }
    }
}
