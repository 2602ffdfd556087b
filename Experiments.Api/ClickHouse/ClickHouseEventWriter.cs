using System.Diagnostics;
using System.Threading.Channels;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Stores events in ClickHouse. It likes few large blocks, so whatever comes while one is written, and for a tenth of a second at most, is
/// written together. What is not known to be stored fails, and may be sent again, since an event counts once.
/// </summary>
internal sealed class ClickHouseEventWriter(ClickHouseShards shards, NpgsqlDataSource source) : BackgroundService, IEventWriter
{
    // Blocks begin at least this long after one another, and between them it rests as long as it wrote, but no longer than this: what
    // comes in between is in the next one, and the larger blocks are, the less an event costs.
    private static readonly TimeSpan Spacing = TimeSpan.FromMilliseconds(100);

    private const int LargestBlock = 100_000;

    // What waits beyond this has to be sent again.
    private const int MostWaiting = 1_000_000;

    private readonly Channel<Waiting> _waiting = Channel.CreateUnbounded<Waiting>(new() { SingleReader = true });

    private int _events;

    public async Task<int?> Add(long environmentId, EventBatch batch, CancellationToken ct)
    {
        batch.Sort();
        if (batch.Events.Count > 0)
        {
            var waiting = new Waiting(environmentId, batch, new(TaskCreationOptions.RunContinuationsAsynchronously));
            // Whoever gives up is told that it may have been stored or not, and nothing is stored for it that has not begun.
            await using var givenUp = ct.Register(() => waiting.Stored.TrySetCanceled(ct));
            if (Volatile.Read(ref _events) > MostWaiting || !_waiting.Writer.TryWrite(waiting))
            {
                throw new EventStoreUnavailableException("Too many events wait to be stored, or the service stops.");
            }

            Interlocked.Add(ref _events, batch.Events.Count);
            await waiting.Stored.Task;
        }

        return null;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
            {
                var clock = Stopwatch.StartNew();
                var block = Next();
                try
                {
                    if (block.Count > 0)
                    {
                        await Store(block, stoppingToken);
                    }

                    block.ForEach(waiting => waiting.Stored.TrySetResult());
                }
                catch (Exception exception)
                {
                    block.ForEach(waiting => waiting.Stored.TrySetException(exception));
                }

                await Task.Delay(Rest(clock.Elapsed), stoppingToken);
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

    private static TimeSpan Rest(TimeSpan wrote) =>
        wrote < Spacing / 2 ? Spacing - wrote
        : wrote < Spacing ? wrote
        : Spacing;

    private List<Waiting> Next()
    {
        var block = new List<Waiting>();
        for (var events = 0; events < LargestBlock && _waiting.Reader.TryRead(out var next); )
        {
            Interlocked.Add(ref _events, -next.Batch.Events.Count);
            if (!next.Stored.Task.IsCompleted)
            {
                block.Add(next);
                events += next.Batch.Events.Count;
            }
        }

        return block;
    }

    private async Task Store(List<Waiting> block, CancellationToken ct)
    {
        // From the announcement on: after twice this time, another replica queues the batch as it is.
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        deadline.CancelAfter(ClickHouseShard.WriteLimit);
        var groups = block
            .GroupBy(waiting => (waiting.EnvironmentId, waiting.Batch.Postponed))
            .Select(group => (group.Key.EnvironmentId, (IReadOnlyList<EventBatch>)[.. group.Select(waiting => waiting.Batch)]))
            .ToList();
        var arrivals = await ArrivalQueue.Announce(source, groups, deadline.Token);
        var rows = new List<ClickHouseEvent>(block.Sum(waiting => waiting.Batch.Events.Count));
        var concerned = new List<ClickHouseArrival>();
        foreach (var ((environmentId, batches), arrival) in groups.Zip(arrivals))
        {
            var known = new HashSet<(string, Guid)>();
            foreach (var batch in batches)
            {
                foreach (var one in batch.Events)
                {
                    var happened = Instants.Earlier(one.At + batch.Skew, arrival.ReceivedAt);
                    var row = new ClickHouseEvent(environmentId, one, one.Id is not null, happened, arrival.Id);
                    rows.Add(row);
                    if (known.Add((row.Event, row.Identity)))
                    {
                        concerned.Add(new(environmentId, arrival.Id, row.Event, row.Identity));
                    }
                }
            }
        }

        // First which identities there is something of: to look for what is not there does no harm.
        await shards.Insert("arrivals", concerned, deadline.Token);
        await shards.Insert("events", rows, deadline.Token);
        await ArrivalQueue.Queue(source, arrivals, ct);
    }

    private sealed record Waiting(long EnvironmentId, EventBatch Batch, TaskCompletionSource Stored);
}
