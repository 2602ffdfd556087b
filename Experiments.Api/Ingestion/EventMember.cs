using System.Text.Json;

namespace Experiments.Api.Ingestion;

/// <summary>The members of an event.</summary>
internal enum EventMember
{
    Unknown,
    Event,
    FeatureName,
    Identifier,
    Value,
    Traits,
    Metadata,
    Timestamp,
    Id,
}

/// <summary>Recognises a member by its name.</summary>
internal static class EventMembers
{
    public static EventMember At(ref Utf8JsonReader json) =>
        // An unreadable name cannot be compared either.
        json.ValueIsEscaped && !JsonText.TryRead(ref json, out _, out _)
            ? EventMember.Unknown
        : json.ValueTextEquals("event"u8) ? EventMember.Event
        : json.ValueTextEquals("feature_name"u8) ? EventMember.FeatureName
        : json.ValueTextEquals("identifier"u8) ? EventMember.Identifier
        : json.ValueTextEquals("value"u8) ? EventMember.Value
        : json.ValueTextEquals("traits"u8) ? EventMember.Traits
        : json.ValueTextEquals("metadata"u8) ? EventMember.Metadata
        : json.ValueTextEquals("timestamp"u8) ? EventMember.Timestamp
        : json.ValueTextEquals("id"u8) ? EventMember.Id
        : EventMember.Unknown;
}
