namespace Experiments.Api.Ingestion;

/// <summary>One event that was found valid.</summary>
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
    /// <summary>The name of the event that says that an identity was shown a variant.</summary>
    public const string Exposure = "$flag_exposure";

    /// <summary>
    /// By instant and key: the order of the index that they go into, and, since every request has the same, of the locks that
    /// requests with the same events wait for.
    /// </summary>
    public int CompareTo(ReceivedEvent other) => At != other.At ? At.CompareTo(other.At) : Key.CompareTo(other.Key);
}
