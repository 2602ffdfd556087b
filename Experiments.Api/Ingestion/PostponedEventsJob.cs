using Dapper;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Takes postponed events in, once the store of this service is the one where events are. However often it begins anew, each event counts
/// once, as any that is sent again.
/// </summary>
internal sealed class PostponedEventsJob(
    NpgsqlDataSource source,
    PostponedEvents postponed,
    IEventWriter writer,
    Readiness readiness,
    ILogger<PostponedEventsJob> logger
) : PeriodicJob(readiness, logger)
{
    private const string TryLock = $"SELECT pg_try_advisory_xact_lock({PostponedEvents.Lock})";

    protected override TimeSpan Interval => TimeSpan.FromSeconds(2);

    public override async Task Run(CancellationToken ct)
    {
        if (!await postponed.Any(ct))
        {
            return;
        }

        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await connection.QuerySingleAsync<bool>(TryLock))
        {
            return;
        }

        await using var heartbeat = Heartbeat.Of(connection);
        long? after = 0;
        while (after is { } last && await postponed.Oldest(last, ct) is [_, ..] batches)
        {
            after = await Take(batches, ct);
        }
    }

    // Stores that like large blocks store them together. Returns the last one, or null if events move again.
    private async Task<long?> Take(IReadOnlyList<(long EnvironmentId, EventBatch Batch)> batches, CancellationToken ct)
    {
        var isMoving = false;
        await Task.WhenAll(batches.Select(Add));
        return isMoving ? null : batches[^1].Batch.Postponed;

        async Task Add((long EnvironmentId, EventBatch Batch) one)
        {
            try
            {
                await writer.Add(one.EnvironmentId, one.Batch, ct);
            }
            catch (EventsMovedException)
            {
                isMoving = true;
            }
            catch (Exception exception) when (!Failure.IsUnavailable(exception) && !ct.IsCancellationRequested)
            {
                // One that cannot be stored holds up no other.
                logger.PostponedFailed(exception, one.Batch.Postponed);
            }
        }
    }
}
