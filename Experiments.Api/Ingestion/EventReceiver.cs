using System.Text.Json.Serialization;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Ingestion;

/// <summary>Stores a batch of events, counts it, and says what became of it.</summary>
internal sealed class EventReceiver(IEventWriter writer, Instruments instruments)
{
    /// <summary>Returns once the events are on disk.</summary>
    public async Task<EventReceipt> Receive(long environmentId, EventBatch batch, CancellationToken ct)
    {
        instruments.EventsRejected.Add(batch.Rejected.Count);
        var added = await writer.Add(environmentId, batch, ct);
        instruments.EventsAccepted.Add(added ?? batch.Accepted);
        instruments.EventsDuplicate.Add(batch.Accepted - (added ?? batch.Accepted));
        return new EventReceipt(
            batch.Accepted,
            batch.Accepted - added,
            batch.Rejected.Count,
            [.. batch.Rejected.Take(ProblemResult.MostErrors)],
            batch.Skew != TimeSpan.Zero ? (long)batch.Skew.TotalMilliseconds : null,
            batch.Ignored.Count > 0 ? batch.Ignored : null
        );
    }
}

/// <summary>The numbers of valid, duplicate and rejected events, and the errors of the first hundred rejected ones.</summary>
/// <param name="Accepted">How many events were valid.</param>
/// <param name="Duplicates">How many of those had been stored before; null where the store finds that out later.</param>
/// <param name="RejectedCount">How many events were rejected.</param>
/// <param name="Rejected">What is wrong with them.</param>
/// <param name="ClockSkewMs">The milliseconds that were added to the timestamps, by <c>sent_at</c>; absent if none were.</param>
/// <param name="Ignored">Members that this service does not know, up to twenty; absent if there are none.</param>
[Example(
    """{"accepted": 2, "duplicates": 0, "rejected_count": 1, "rejected": [{"index": 1, "error": "events[1].timestamp is more"""
        + """ than 24 hours ahead"}]}"""
)]
internal sealed record EventReceipt(
    int Accepted,
    int? Duplicates,
    int RejectedCount,
    IReadOnlyList<EventBatch.Rejection> Rejected,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? ClockSkewMs = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyCollection<string>? Ignored = null
);
