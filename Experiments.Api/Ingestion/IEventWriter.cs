using Experiments.Api.Platform.Data;

namespace Experiments.Api.Ingestion;

/// <summary>Stores the events that applications send.</summary>
internal interface IEventWriter
{
    /// <summary>
    /// Adds a batch, which is durable when this returns. Returns how many of its events were new; null where the store cannot tell at once.
    /// One that was postponed is so no more.
    /// </summary>
    /// <exception cref="EventsMovedException">The events are not here, or not any more.</exception>
    Task<int?> Add(long environmentId, EventBatch batch, CancellationToken ct);
}
