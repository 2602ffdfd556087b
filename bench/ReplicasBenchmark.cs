using System.Diagnostics;
using System.Globalization;

namespace Experiments.Bench;

/// <summary>
/// Whether two replicas count at the same time, and how much faster that is on the processors that there are.
/// </summary>
internal static class ReplicasBenchmark
{
    private const string Holders = """
        SELECT count(DISTINCT pid) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = (hashtext('aggregation')::bigint & 4294967295)::oid AND objsubid = 2
        """;

    private const string Leave =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'experiments-aggregation-%'";

    /// <param name="environments">How many environments there are.</param>
    /// <param name="events">How many events each environment gets, each time.</param>
    public static async Task Run(int environments, int events)
    {
        await using var instance = await ScaleInstance.Start();
        var source = instance.Source;
        var (_, address) = await instance.Service("Experiments.Api.dll");
        var worlds = new List<ScaleWorld>();
        for (var index = 0; index < environments; index++)
        {
            worlds.Add(await ScaleWorld.Plant(address, source));
        }

        await worlds[0].Backfilled();
        await Send(0, events);
        await worlds[0].Counted();
        var (second, _) = await instance.Service("Experiments.Api.dll");
        // What the compiler does at first. Then in turns, since counting costs more the more has been counted before.
        await Count(1, both: true);
        var runs = new[] { false, true, true, false };
        var counted = new List<(bool Both, double Seconds, double Together)>();
        foreach (var (turn, both) in runs.Index())
        {
            counted.Add(await Count(turn + 2, both));
        }

        var (alone, together) = (Rate(false), Rate(true));
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"\nEnvironments with {events:#,0} events waiting in each: {environments}. One replica counts {alone:#,0} a second,"
                    + $" two {together:#,0}, which is {together / alone:0.00} times as many, on {Environment.ProcessorCount} cores with"
                    + $" PostgreSQL. Two were at it in {counted.Where(run => run.Both).Average(run => run.Together):0} % of the"
                    + $" samples."
            )
        );

        double Rate(bool both) => environments * events / counted.Where(run => run.Both == both).Average(run => run.Seconds);

        Task Send(int first, int count) => Task.WhenAll(worlds.Select(world => world.Send(first, count)));

        async Task<(bool Both, double Seconds, double Together)> Count(int turn, bool both)
        {
            await using (await AggregationPause.Begin(source))
            {
                await Send(turn * events, events);
                if (!both)
                {
                    await Load.Run("kill", ["-STOP", $"{second.Id}"]);
                    // It would be counted as a replica as long as it has connections; the other one gets new ones.
                    await using var leave = source.CreateCommand(Leave);
                    await leave.ExecuteNonQueryAsync();
                }
            }

            var (clock, samples, together) = (Stopwatch.StartNew(), 0, 0);
            var counted = worlds[0].Counted();
            while (!counted.IsCompleted)
            {
                await using var command = source.CreateCommand(Holders);
                together += (long)(await command.ExecuteScalarAsync())! > 1 ? 1 : 0;
                samples++;
                await Task.Delay(10);
            }

            var seconds = clock.Elapsed.TotalSeconds;
            if (!both)
            {
                await Load.Run("kill", ["-CONT", $"{second.Id}"]);
            }

            return (both, seconds, 100.0 * together / samples);
        }
    }
}
