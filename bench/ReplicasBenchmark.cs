using System.Diagnostics;
using System.Globalization;
using Experiments.Api.Platform.Data;

namespace Experiments.Bench;

/// <summary>
/// Whether two replicas count two environments at the same time, and how much faster that is on the processors that there are.
/// </summary>
internal static class ReplicasBenchmark
{
    private const string Holders = """
        SELECT count(DISTINCT pid) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = (hashtext('aggregation')::bigint & 4294967295)::oid AND objsubid = 2
        """;

    /// <param name="events">How many events each environment gets, each time.</param>
    public static async Task Run(int events)
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        await using var postgres = new EmbeddedPostgres(directory, "max_wal_size=4GB", "autovacuum_naptime=5s");
        var replicas = new List<Process>();
        try
        {
            await postgres.Start(CancellationToken.None);
            var address = await Replica();
            await using var source = DatabaseSetup.Source(postgres.ConnectionString);
            ScaleWorld[] worlds =
            [
                await ScaleWorld.Plant(address, source, events / 12),
                await ScaleWorld.Plant(address, source, events / 12),
            ];
            await Send(0, events / 5);
            await worlds[0].Counted();

            var alone = await Count(events / 5);
            await Replica();
            // What the compiler does at first in the second one.
            await Count(events + (events / 5));
            var together = await Count((2 * events) + (events / 5));
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"\nTwo environments with {events:#,0} events waiting in each: one replica counts {alone.PerSecond:#,0} a second,"
                        + $" two {together.PerSecond:#,0}, which is {together.PerSecond / alone.PerSecond:0.00} times as many, on"
                        + $" {Environment.ProcessorCount} cores with PostgreSQL. Both were at it in {together.Both:0} % of the samples."
                )
            );

            async Task<string> Replica()
            {
                var free = Machine.FreeAddress();
                replicas.Add(
                    Machine.Start(
                        "Experiments.Api.dll",
                        [],
                        free,
                        ("ConnectionStrings__Experiments", postgres.ConnectionString),
                        ("Logging__LogLevel__Default", "Warning")
                    )
                );
                await Machine.FirstAnswer($"{free}/health/ready");
                return free;
            }

            Task Send(int first, int count) => Task.WhenAll(worlds.Select(world => world.Send(first, count)));

            async Task<(double PerSecond, double Both)> Count(int first)
            {
                await using (await AggregationPause.Begin(source))
                {
                    await Send(first, events);
                }

                var (clock, samples, both) = (Stopwatch.StartNew(), 0, 0);
                var counted = worlds[0].Counted();
                while (!counted.IsCompleted)
                {
                    await using var command = source.CreateCommand(Holders);
                    both += (long)(await command.ExecuteScalarAsync())! > 1 ? 1 : 0;
                    samples++;
                    await Task.Delay(10);
                }

                await counted;
                return (2 * events / clock.Elapsed.TotalSeconds, 100.0 * both / samples);
            }
        }
        finally
        {
            foreach (var replica in replicas)
            {
                await Machine.Stop(replica);
            }

            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }
}
