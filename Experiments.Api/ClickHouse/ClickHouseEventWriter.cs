using System.Threading.Channels;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Stores events in ClickHouse. It likes few large blocks, so whatever comes while one is written, and for a tenth of a second at most, is
/// written together. What is not known to be stored fails, and may be sent again, since an event counts once.
/// </summary>
internal sealed class ClickHouseEventWriter(ClickHouseServer server, NpgsqlDataSource source) : BackgroundService, IEventWriter
{
    // At most ten blocks a second from each replica.
    private static readonly TimeSpan Spacing = TimeSpan.FromMilliseconds(100);

    private const int LargestBlock = 100_000;

    /// <summary>The columns in the order in which rows have them.</summary>
    public static readonly string[] Columns =
    [
        "environment_id",
        "event",
        "identity",
        "key",
        "content_at",
        "at",
        "skew",
        "version",
        "feature_name",
        "identifier",
        "value",
        "traits",
        "metadata",
    ];

    private readonly Channel<Waiting> _waiting = Channel.CreateUnbounded<Waiting>(new() { SingleReader = true });

    public async Task<int?> Add(long environmentId, EventBatch batch, CancellationToken ct)
    {
        batch.Sort();
        if (batch.Events.Count > 0)
        {
            var waiting = new Waiting(environmentId, batch, new(TaskCreationOptions.RunContinuationsAsynchronously));
            await _waiting.Writer.WriteAsync(waiting, ct);
            // Whoever gives up is told that it may have been stored or not.
            await waiting.Stored.Task.WaitAsync(ct);
        }

        return null;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
            {
                var spacing = Task.Delay(Spacing, stoppingToken);
                var block = Next();
                try
                {
                    await Store(block, stoppingToken);
                    block.ForEach(waiting => waiting.Stored.TrySetResult());
                }
                catch (Exception exception)
                {
                    block.ForEach(waiting => waiting.Stored.TrySetException(exception));
                }

                await spacing;
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            _waiting.Writer.TryComplete();
            while (_waiting.Reader.TryRead(out var left))
            {
                left.Stored.TrySetCanceled(CancellationToken.None);
            }
        }
    }

    private List<Waiting> Next()
    {
        var block = new List<Waiting>();
        for (var events = 0; events < LargestBlock && _waiting.Reader.TryRead(out var next); events += next.Batch.Events.Count)
        {
            block.Add(next);
        }

        return block;
    }

    private async Task Store(List<Waiting> block, CancellationToken ct)
    {
        var groups = block
            .GroupBy(waiting => waiting.EnvironmentId)
            .Select(group => (group.Key, (IReadOnlyList<EventBatch>)[.. group.Select(waiting => waiting.Batch)]))
            .ToList();
        var arrivals = await ArrivalQueue.Announce(source, groups, ct);
        var rows = new List<object?[]>();
        foreach (var ((environmentId, batches), arrival) in groups.Zip(arrivals))
        {
            foreach (var batch in batches)
            {
                rows.AddRange(batch.Events.Select(one => Row(environmentId, one, batch.Skew, arrival)));
            }
        }

        await server.Insert("events", Columns, rows, ct);
        await ArrivalQueue.Queue(source, arrivals, ct);
    }

    private static object?[] Row(long environmentId, in ReceivedEvent one, TimeSpan skew, ArrivalQueue.Arrival arrival)
    {
        var happened = one.At + skew;
        return Row(environmentId, one, one.Id is not null, happened < arrival.ReceivedAt ? happened : arrival.ReceivedAt, arrival.Id);
    }

    /// <summary>The values of an event.</summary>
    public static object?[] Row(long environmentId, in ReceivedEvent one, bool hasId, DateTime happenedAt, long batch) =>
        [
            environmentId,
            one.Event,
            one.Identifier is { Length: > 0 } identifier ? Identity.Key(identifier) : Guid.Empty,
            one.Key,
            hasId ? 0L : EventRows.Microseconds(one.At) / 1000,
            one.At,
            (happenedAt - one.At).Ticks / TimeSpan.TicksPerMicrosecond,
            (ulong)(ClickHouseSchema.LastBatch - batch),
            one.FeatureName,
            one.Identifier,
            one.Value,
            one.Traits,
            one.Metadata,
        ];

    private sealed record Waiting(long EnvironmentId, EventBatch Batch, TaskCompletionSource Stored);
}
