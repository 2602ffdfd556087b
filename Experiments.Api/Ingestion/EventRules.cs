namespace Experiments.Api.Ingestion;

/// <summary>What every event must have.</summary>
internal static class EventRules
{
    /// <summary>What an event lacks, or null.</summary>
    public static EventError? Fault(bool hasTimestamp, string? name, string? feature, string? id) =>
        string.IsNullOrWhiteSpace(name) ? new(".event", "is required and may not be blank")
        : EventNames.IsReserved(name) && name != ReceivedEvent.Exposure
            ? new(
                ".event",
                $"names that start with '$flag_' or '$experiment_' are reserved; the only one is '{ReceivedEvent.Exposure}'",
                IsSentence: true
            )
        : name == ReceivedEvent.Exposure && string.IsNullOrWhiteSpace(feature)
            ? new(".feature_name", $"is required for '{ReceivedEvent.Exposure}'")
        : !hasTimestamp ? new(".timestamp", "is required: milliseconds since 1970")
        : id is "" ? new(".id", $"must have 1 to {EventSizeLimits.Id} characters")
        : null;
}
