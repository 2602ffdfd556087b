using System.Diagnostics;
using System.Globalization;
using Experiments.Api.Aggregation;
using Experiments.Api.ClickHouse;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Experiments.Bench;

/// <summary>
/// What an event costs in PostgreSQL and in ClickHouse, with an experiment of eight metrics: CPU time of all processes, which holds on a
/// busy machine too, and bytes.
/// </summary>
internal static class ScaleBenchmark
{
    // So many that compilers are done, and that every identity has been seen.
    private const int WarmUp = 600_000;

    private const int More = 10_000;

    private const string Ours = "Experiments.Api.dll";

    /// <param name="events">How many events are stored and counted.</param>
    /// <param name="only">The only one of the stores, or of replicas, that is measured; null for all.</param>
    /// <param name="other">The Experiments.Api.dll of another release to compare with, if any.</param>
    public static async Task Run(int events, string? only = null, string? other = null)
    {
        var many = events.ToString("#,0", CultureInfo.InvariantCulture);
        Console.WriteLine(
            $"\n{Environment.ProcessorCount} cores, {many} events, {ScaleWorld.EventsOfIdentity} of each identity, among those of"
                + $" {ScaleWorld.Identities} identities, one in six an exposure, in batches of"
                + $" {ScaleWorld.Batch}; one experiment of eight metrics. CPU time in microseconds an event: of the service,"
                + " PostgreSQL and ClickHouse.\n"
        );
        DapperSetup.Run();
        Console.WriteLine("| | store | count | 10,000 more | add a metric | count anew | bytes of events | bytes of what is counted |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        if (only is null or "postgresql")
        {
            await Measure("PostgreSQL", Ours, isClickHouse: false, events);
        }

        if (only is null or "clickhouse")
        {
            await Measure("ClickHouse", Ours, isClickHouse: true, events);
        }

        if (other is not null)
        {
            await Measure("the other release", other, isClickHouse: false, events);
        }

        if (only is null or "replicas")
        {
            await ReplicasBenchmark.Run(2, 200_000);
            await ReplicasBenchmark.Run(1, 400_000);
        }
    }

    private static async Task Measure(string name, string assembly, bool isClickHouse, int events)
    {
        await using var instance = await ScaleInstance.Start();
        await using var chdb = isClickHouse ? await ChdbServer.Start($"{instance.Directory}-clickhouse") : null;
        var (service, address) = await instance.Service(
            assembly,
            ("Events__Store", isClickHouse ? "clickhouse" : "postgresql"),
            ("ConnectionStrings__ClickHouse", chdb?.ConnectionString ?? "")
        );
        var source = instance.Source;
        using var server = chdb is null ? null : new ClickHouseShards(chdb.ConnectionString);
        var world = await ScaleWorld.Plant(address, source);
        await world.WarmUp(WarmUp);
        await Merged(server);

        var cpu = new CpuClock(service, Path.Combine(instance.Directory, "postgres"), chdb?.Process);
        var pause = await AggregationPause.Begin(source);
        cpu.Lap(events);
        await world.Send(WarmUp, events);
        await Merged(server);
        var store = cpu.Lap(events);
        await pause.DisposeAsync();
        await world.Counted();
        var row = $"| {name} | {store} | {cpu.Lap(events)} |";
        pause = await AggregationPause.Begin(source);
        await world.Send(WarmUp + events, More);
        await Merged(server);
        cpu.Lap(More);
        await pause.DisposeAsync();
        await world.Counted();
        var more = cpu.Lap(More);
        await world.AddMetric();
        await world.Backfilled();
        var total = WarmUp + events + More;
        var added = cpu.Lap(total);
        row = $"{row} {more} | {added} |";
        if (assembly != Ours)
        {
            // Its tables are others.
            Console.WriteLine(row);
            return;
        }

        var anew = await CountAnew(source, server, cpu, world.ExperimentId, total);
        Console.WriteLine($"{row} {anew} | {await Bytes(source, server, total)} | {await Counted(source, total)} |");
    }

    // So that what belongs to one phase is not charged to the next.
    private static async Task Merged(ClickHouseShards? server)
    {
        for (var quiet = 0; server is not null && quiet < 3; await Task.Delay(300))
        {
            var merges = await server.Sum("SELECT toInt64(count()) FROM system.merges", null, CancellationToken.None);
            quiet = merges == 0 ? quiet + 1 : 0;
        }
    }

    private static async Task<string> CountAnew(
        NpgsqlDataSource source,
        ClickHouseShards? server,
        CpuClock cpu,
        long experiment,
        int events
    )
    {
        IEventStore store = server is null
            ? new PostgresEventStore(source, NullLogger<PostgresEventStore>.Instance)
            : new ClickHouseEventStore(server);
        await using var patient = AggregationWorker.Source(new DatabaseServer(source.ConnectionString, null), null);
        // The first time is for the compilers, which have not seen this in this process.
        await Rebuild();
        var before = Process.GetCurrentProcess().TotalProcessorTime;
        cpu.Lap(1);
        await Rebuild();
        return cpu.Lap(events, Process.GetCurrentProcess().TotalProcessorTime - before);

        async Task Rebuild()
        {
            while (await new RebuildFromEvents(store, patient, TimeSpan.FromDays(1)).Compare(experiment, CancellationToken.None) is null)
            {
                await Task.Delay(20);
            }
        }
    }

    private static async Task<string> Bytes(NpgsqlDataSource source, ClickHouseShards? server, int events)
    {
        if (server is null)
        {
            return await Scalar(
                source,
                "SELECT (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('events') WHERE isleaf)"
                    + " + pg_total_relation_size('event_ids')",
                events
            );
        }

        await server.Execute("OPTIMIZE TABLE events FINAL", null, CancellationToken.None);
        var bytes = await server.Sum(
            "SELECT toInt64(sum(bytes_on_disk)) FROM system.parts WHERE database = currentDatabase() AND table = 'events' AND active",
            null,
            CancellationToken.None
        );
        return (bytes / (double)events).ToString("0", CultureInfo.InvariantCulture);
    }

    private static Task<string> Counted(NpgsqlDataSource source, int events) =>
        Scalar(source, "SELECT pg_total_relation_size('exposures') + pg_total_relation_size('unit_metrics')", events);

    private static async Task<string> Scalar(NpgsqlDataSource source, string sql, int events)
    {
        await using var command = source.CreateCommand(sql);
        return (Convert.ToDouble(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture) / events).ToString(
            "0",
            CultureInfo.InvariantCulture
        );
    }

    /// <summary>The CPU time of the service, of PostgreSQL with all its processes, and of ClickHouse.</summary>
    private sealed class CpuClock(Process service, string postgres, Process? clickHouse)
    {
        private const double Tick = 10_000;

        private readonly int _postmaster = int.Parse(
            File.ReadLines(Path.Combine(postgres, "postmaster.pid")).First(),
            CultureInfo.InvariantCulture
        );

        private double[] _last = [];

        /// <summary>What was taken since the last time, in microseconds an event.</summary>
        public string Lap(int events, TimeSpan other = default)
        {
            double[] now =
            [
                Machine.Cpu(service).TotalMicroseconds,
                PostgresCpu(),
                clickHouse is null ? 0 : Machine.Cpu(clickHouse).TotalMicroseconds,
            ];
            var taken = _last.Length == 0 ? [0, 0, 0] : now.Zip(_last, (one, before) => (one - before) / events).ToArray();
            taken[0] += other.TotalMicroseconds / events;
            _last = now;
            return string.Create(CultureInfo.InvariantCulture, $"**{taken.Sum():0.0}** ({taken[0]:0.0} + {taken[1]:0.0} + {taken[2]:0.0})");
        }

        // Its own, with that of the children that have ended, and that of the others.
        private double PostgresCpu()
        {
            var ticks = 0.0;
            foreach (var directory in Directory.GetDirectories("/proc").Where(path => char.IsAsciiDigit(Path.GetFileName(path)[0])))
            {
                try
                {
                    var text = File.ReadAllText(Path.Combine(directory, "stat"));
                    var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
                    var isPostmaster = Path.GetFileName(directory) == $"{_postmaster}";
                    if (isPostmaster || fields[1] == $"{_postmaster}")
                    {
                        ticks +=
                            double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture);
                        ticks += isPostmaster
                            ? double.Parse(fields[13], CultureInfo.InvariantCulture)
                                + double.Parse(fields[14], CultureInfo.InvariantCulture)
                            : 0;
                    }
                }
                catch (IOException)
                {
                    // It has just ended, and its parent has its time.
                }
            }

            return ticks * Tick;
        }
    }
}
