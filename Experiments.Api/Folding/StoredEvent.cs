namespace Experiments.Api.Folding;

/// <summary>An event as it is stored.</summary>
internal sealed record StoredEvent
{
    public long Batch { get; init; }

    public long EnvironmentId { get; init; }

    public DateTime At { get; init; }

    public long Key { get; init; }

    public string Event { get; init; } = "";

    public string? FeatureName { get; init; }

    public string? Identifier { get; init; }

    public string? Value { get; init; }

    public string? Metadata { get; init; }

    /// <summary>The experiment that an exposure names; -1 when it names none that there could be, null when it names none.</summary>
    public long? ExperimentId { get; init; }
}
