namespace Experiments.Api.Ingestion;

/// <summary>A validated event.</summary>
internal readonly record struct ReceivedEvent(
    DateTime At,
    long Key,
    Guid? Id,
    string Event,
    string? FeatureName,
    string? Identifier,
    string? Value,
    string? Traits,
    string? Metadata
) : IComparable<ReceivedEvent>
{
    /// <summary>The name of the event that records that an identity was shown a variant.</summary>
    public const string Exposure = "$flag_exposure";

    /// <summary>
    /// Ordered by instant and key. This is the order of the index. All requests share it, so requests with the same events take their
    /// locks in the same order.
    /// </summary>
    public int CompareTo(ReceivedEvent other) => At != other.At ? At.CompareTo(other.At) : Key.CompareTo(other.Key);
}
