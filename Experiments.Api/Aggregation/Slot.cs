namespace Experiments.Api.Aggregation;

/// <summary>
/// Identities are divided into slots, so that several replicas can count one environment: an event is in the slot of the identity that it
/// counts for, by the first bits of the hash. What has no identity, and what is counted by another unit, belongs to the first slot.
/// </summary>
internal static class Slot
{
    /// <summary>How many there are, as in <c>claim_slots</c>.</summary>
    public const int Count = 16;

    /// <summary>A bit for each of them.</summary>
    public const int All = (1 << Count) - 1;

    /// <summary>The slot for whatever is in no other.</summary>
    public const int First = 0;

    /// <summary>The slot of an event by the identity that it counts for, whatever became known of it and when.</summary>
    public static int Of(StoredEvent stored) =>
        stored.CountedUnit(key: null) is { } unit ? RebuildWriter.SliceOf(stored.KeyOf(unit), Count) : First;
}
