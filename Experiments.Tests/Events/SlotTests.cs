using System.Diagnostics;
using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Events;

/// <summary>
/// One environment is counted in slots by several workers at once, some of which break off in the middle, while experiments are rebuilt.
/// In the end everything is as one worker counts it, each sum to the digit.
/// </summary>
public class SlotTests(PostgresStoreService whole, ManualCountingService inSlots)
    : IClassFixture<PostgresStoreService>,
        IClassFixture<ManualCountingService>
{
    [Fact]
    public Task Slots_count_what_one_worker_counts_in_any_order_and_however_often_workers_fail() => Compare(seed: 1, experiments: 16);

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Any_number_of_slots_counts_what_one_worker_counts()
    {
        foreach (var seed in CountedWorld.Seeds(worlds: 5))
        {
            await Compare(seed, experiments: 40);
        }
    }

    private async Task Compare(int seed, int experiments)
    {
        var random = new Random(seed);
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        await inSlots.Pause();
        var one = await CountedWorld.Plant(whole, seed, now, experiments);
        var other = await CountedWorld.Plant(inSlots, seed, now, experiments);
        await one.Send(new Random(seed));

        var ids = (await other.Experiments()).ToArray();
        await using var source = AggregationWorker.Source(new DatabaseServer(inSlots.ConnectionString, null), null);
        using var rebuilding = new CancellationTokenSource();
        // Only some of them, since rebuilding mends whatever was counted wrong.
        var rebuilds = Rebuild(source, ids[..(ids.Length / 4)], new Random(random.Next()), rebuilding.Token);
        var sent = other.Send(new Random(1000 + seed), mixes: true);
        // Some of it comes while it is counted.
        await Task.WhenAny(
            sent,
            Given.Eventually(() => inSlots.Query<bool>("SELECT COALESCE(sum(events) > 1000, false) FROM event_batches"))
        );
        var seen = await Task.WhenAll(
            Enumerable.Range(0, random.Next(2, 6)).Select(_ => new Random(random.Next())).Select(own => Work(source, own, sent))
        );
        await sent;
        await rebuilding.CancelAsync();
        await rebuilds;
        seen.Aggregate(0, (all, slots) => all | slots).ShouldNotBe(0, "no slots were counted by themselves");

        await inSlots.Resume();
        await Task.WhenAll(one.IsCounted(), other.IsCounted());
        await one.ShouldEqual(other, $"seed {seed}");
        foreach (var id in ids)
        {
            var report = await Until(() => new RebuildFromEvents(inSlots.Store, source, inSlots.Late).Compare(id, default));
            (report.Exposures, report.Units).ShouldBe((0, 0));
        }
    }

    // Returns the slots that it has seen counted in batches of which others were not.
    private async Task<int> Work(NpgsqlDataSource source, Random random, Task sent)
    {
        var (seen, clock) = (0, Stopwatch.StartNew());
        for (int? taken = null; taken != 0 || !sent.IsCompleted; )
        {
            clock.Elapsed.ShouldBeLessThan(TimeSpan.FromMinutes(2), "something is never counted");
            // Not from a pool, where its end would be somebody else's.
            await using var connection = new NpgsqlConnection($"{source.ConnectionString};Pooling=false;Include Error Detail=true");
            await connection.OpenAsync();
            await using var other = await source.OpenConnectionAsync();
            var killed = random.Next(4) == 0 ? Kill(other, connection.ProcessID, random.Next(40)) : Task.CompletedTask;
            try
            {
                var batch = new AggregationBatch(
                    inSlots.Store,
                    source,
                    connection,
                    inSlots.Late,
                    replicas: random.Next(2, 20),
                    size: random.Next(20, 150)
                );
                taken = await batch.Run([], null, CancellationToken.None);
            }
            catch (Exception exception) when (Failure.IsUnavailable(exception) || Failure.IsLocked(exception))
            {
                taken = null;
            }

            await killed;
            seen |= await other.QuerySingleAsync<int>("SELECT COALESCE(bit_or(counted_slots), 0) FROM event_batches");
            await Task.Delay(taken is null or 0 ? random.Next(20) : 0);
        }

        return seen;
    }

    private static async Task Kill(NpgsqlConnection other, int processId, int after)
    {
        await Task.Delay(after);
        await other.ExecuteAsync("SELECT pg_terminate_backend(@processId)", new { processId });
    }

    private async Task Rebuild(NpgsqlDataSource source, long[] experiments, Random random, CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            var rebuild = new RebuildFromEvents(inSlots.Store, source, inSlots.Late);
            await rebuild.Run(experiments[random.Next(experiments.Length)], CancellationToken.None);
            await Task.Delay(random.Next(100), CancellationToken.None);
        }
    }

    private static async Task<T> Until<T>(Func<Task<T?>> attempt)
        where T : class
    {
        T? found = null;
        await Given.Eventually(async () => (found = await attempt()) is not null);
        return found!;
    }
}
