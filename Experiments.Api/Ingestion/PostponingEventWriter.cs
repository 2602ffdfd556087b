using Experiments.Api.Platform.Data;

namespace Experiments.Api.Ingestion;

/// <summary>Stores events where they are kept, and postpones them while they are moving to another store, so that all are taken.</summary>
internal sealed class PostponingEventWriter(IEventWriter store, PostponedEvents postponed) : IEventWriter
{
    // The move may end between the two.
    private const int Attempts = 3;

    public async Task<int?> Add(long environmentId, EventBatch batch, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await store.Add(environmentId, batch, ct);
            }
            catch (EventsMovedException) when (batch.Postponed is null && attempt < Attempts)
            {
                if (await postponed.Add(environmentId, batch, ct))
                {
                    return null;
                }
            }
        }
    }
}
