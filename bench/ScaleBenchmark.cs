using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Experiments.Api.ClickHouse;
using Experiments.Api.Domain;
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
    private const int Batch = 1000;
    private const int Senders = 4;
    private static readonly double[] Halves = Assignment.Cumulate([50, 50]);
    private static readonly long Start = DateTimeOffset.UtcNow.AddHours(-2).ToUnixTimeMilliseconds();

    /// <param name="events">How many events are stored before anything else is measured.</param>
    /// <param name="other">The Experiments.Api.dll of another release to compare with, if any.</param>
    public static async Task Run(int events, string? other = null)
    {
        var (many, identities) = (
            events.ToString("#,0", CultureInfo.InvariantCulture),
            (events / 12).ToString("#,0", CultureInfo.InvariantCulture)
        );
        Console.WriteLine(
            $"\n{Environment.ProcessorCount} cores, {many} events of {identities} identities, one in six an exposure, in batches of"
                + $" {Batch}; one experiment of eight metrics. CPU time in microseconds an event: of the service,"
                + " PostgreSQL and ClickHouse.\n"
        );
        DapperSetup.Run();
        Console.WriteLine("| | store | count | 10,000 more | add a metric | count anew | bytes of events | bytes of what is counted |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var isClickHouse in new[] { false, true })
        {
            await Measure(isClickHouse, events);
        }

        if (other is not null)
        {
            await MeasureOther(other, events);
        }
    }

    private static async Task MeasureOther(string assembly, int events)
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        await using var postgres = new EmbeddedPostgres(directory, "max_wal_size=4GB", "autovacuum_naptime=5s");
        Process? service = null;
        try
        {
            await postgres.Start(CancellationToken.None);
            var address = Machine.FreeAddress();
            service = Machine.Start(
                assembly,
                [],
                address,
                ("ConnectionStrings__Experiments", postgres.ConnectionString),
                ("Logging__LogLevel__Default", "Warning")
            );
            await Machine.FirstAnswer($"{address}/health/ready");
            await using var source = DatabaseSetup.Source(postgres.ConnectionString);
            var world = await World.Plant(address, source, events / 12);
            await world.Send(0, 40_000);
            await world.Counted();
            var cpu = new CpuClock(service, Path.Combine(directory, "postgres"), null);
            cpu.Lap(events);
            await world.Send(40_000, events);
            await world.Counted();
            Console.WriteLine($"\nThe other release stores and counts an event in {cpu.Lap(events)} µs.");
        }
        finally
        {
            await Machine.Stop(service);
            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task Measure(bool isClickHouse, int events)
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        await using var postgres = new EmbeddedPostgres(directory, "max_wal_size=4GB", "autovacuum_naptime=5s");
        Process? service = null;
        ChdbServer? chdb = null;
        try
        {
            await postgres.Start(CancellationToken.None);
            chdb = isClickHouse ? await ChdbServer.Start($"{directory}-clickhouse") : null;
            var address = Machine.FreeAddress();
            service = Machine.Start(
                "Experiments.Api.dll",
                [],
                address,
                ("ConnectionStrings__Experiments", postgres.ConnectionString),
                ("Events__Store", isClickHouse ? "clickhouse" : "postgresql"),
                ("ConnectionStrings__ClickHouse", chdb?.ConnectionString ?? ""),
                ("Logging__LogLevel__Default", "Warning")
            );
            await Machine.FirstAnswer($"{address}/health/ready");
            await using var source = DatabaseSetup.Source(postgres.ConnectionString);
            using var server = chdb is null ? null : new ClickHouseServer(chdb.ConnectionString);
            var world = await World.Plant(address, source, events / 12);
            // What starting takes, and what the compiler does at first, is not measured.
            await world.Send(0, 40_000);
            await world.Counted();

            var cpu = new CpuClock(service, Path.Combine(directory, "postgres"), chdb?.Process);
            await Pause(source, true);
            cpu.Lap(events);
            await world.Send(40_000, events);
            var store = cpu.Lap(events);
            await Pause(source, false);
            await world.Counted();
            var count = cpu.Lap(events);
            await world.Send(events + 40_000, 10_000);
            await world.Counted();
            var more = cpu.Lap(10_000);
            await world.AddMetric();
            await world.Backfilled();
            var added = cpu.Lap(events);
            var anew = await CountAnew(source, server, cpu, world.ExperimentId, events);
            Console.WriteLine(
                $"| {(isClickHouse ? "ClickHouse" : "PostgreSQL")} | {store} | {count} | {more} | {added} | {anew} |"
                    + $" {await Bytes(source, server, events)} | {await Counted(source, events)} |"
            );
        }
        finally
        {
            await Machine.Stop(service);
            if (chdb is not null)
            {
                await chdb.DisposeAsync();
            }

            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    // While another holds the lock of the environment, its events are stored and not counted.
    private static NpgsqlConnection? _pause;

    private static async Task Pause(NpgsqlDataSource source, bool pauses)
    {
        if (pauses)
        {
            _pause = await source.OpenConnectionAsync();
            await using var command = new NpgsqlCommand(
                "SELECT pg_advisory_lock(hashtext('aggregation'), hashint8(id)) FROM environments",
                _pause
            );
            await command.ExecuteNonQueryAsync();
        }
        else if (_pause is { } pause)
        {
            await using var command = new NpgsqlCommand("SELECT pg_advisory_unlock_all()", pause);
            await command.ExecuteNonQueryAsync();
            await pause.DisposeAsync();
        }
    }

    private static async Task<string> CountAnew(
        NpgsqlDataSource source,
        ClickHouseServer? server,
        CpuClock cpu,
        long experiment,
        int events
    )
    {
        IEventStore store = server is null
            ? new PostgresEventStore(source, NullLogger<PostgresEventStore>.Instance)
            : new ClickHouseEventStore(server);
        await using var patient = AggregationWorker.Source(new DatabaseServer(source.ConnectionString, null), null);
        var before = Process.GetCurrentProcess().TotalProcessorTime;
        cpu.Lap(1);
        while (await new RebuildFromEvents(store, patient, TimeSpan.FromDays(1)).Compare(experiment, CancellationToken.None) is null)
        {
            await Task.Delay(20);
        }

        return cpu.Lap(events, Process.GetCurrentProcess().TotalProcessorTime - before);
    }

    private static async Task<string> Bytes(NpgsqlDataSource source, ClickHouseServer? server, int events)
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

        await server.Execute("OPTIMIZE TABLE events FINAL", new Dictionary<string, object>(), CancellationToken.None);
        var bytes = await server.Single(
            "SELECT toInt64(sum(bytes_on_disk)) FROM system.parts WHERE database = currentDatabase() AND table = 'events' AND active",
            new Dictionary<string, object>(),
            row => row.GetInt64(0),
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

    /// <summary>An environment with an experiment that runs.</summary>
    private sealed class World(HttpClient admin, HttpClient sdk, NpgsqlDataSource source, string root, int identities)
    {
        public long ExperimentId { get; private set; }

        private string Salt { get; set; } = "";

        private string Feature { get; set; } = "";

        public static async Task<World> Plant(string address, NpgsqlDataSource source, int identities)
        {
            var admin = new HttpClient { BaseAddress = new(address) };
            admin.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Api-Key {Machine.AdminKey}");
            var project = await Post(admin, "/api/v1/projects/", new { name = "bench", organisation = "bench" });
            var environment = await Post(admin, $"/api/v1/projects/{project["id"]}/environments/", new { name = "bench" });
            var key = environment["key"]!.GetValue<string>();
            var root = $"/api/v1/environments/{key}";
            var sdk = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Senders }) { BaseAddress = new(address) };
            sdk.DefaultRequestHeaders.Add("X-Environment-Key", key);
            var world = new World(admin, sdk, source, root, identities);
            var feature = await Post(
                admin,
                $"{root}/features/",
                new
                {
                    name = "button_colour",
                    initial_value = "blue",
                    multivariate_options = new[]
                    {
                        new
                        {
                            key = "green",
                            value = "green",
                            default_percentage_allocation = 0,
                        },
                    },
                }
            );
            (string Aggregation, object Definition)[] kinds =
            [
                ("occurrence", new { @event = "purchase", lookback_days = 1 }),
                ("count", new { @event = "visit" }),
                (
                    "sum",
                    new
                    {
                        @event = "purchase",
                        property = "value",
                        lookback_days = 1,
                    }
                ),
                ("mean", new { @event = "purchase", property = "value" }),
                ("occurrence", new { @event = "signup", conversion_window_hours = 48 }),
                ("count", new { @event = "purchase" }),
                ("funnel", new { steps = new[] { new { @event = "visit" }, new { @event = "signup" }, new { @event = "purchase" } } }),
                ("occurrence", new { @event = "visit" }),
            ];
            var metrics = new List<object>();
            foreach (var (index, (aggregation, definition)) in kinds.Index())
            {
                var metric = await Post(
                    admin,
                    $"{root}/metrics/",
                    new
                    {
                        name = $"metric {index}",
                        aggregation,
                        direction = "up",
                        definition,
                    }
                );
                metrics.Add(new { metric = metric["id"]!.GetValue<long>(), expected_direction = "increase" });
            }

            var experiment = await Post(
                admin,
                $"{root}/experiments/",
                new
                {
                    name = "Green button",
                    hypothesis = "It sells more.",
                    feature = feature["id"]!.GetValue<long>(),
                    metrics,
                }
            );
            (world.ExperimentId, world.Feature) = (experiment["id"]!.GetValue<long>(), "button_colour");
            await Post(admin, $"{root}/experiments/{world.ExperimentId}/start/", new { });
            await using var command = source.CreateCommand(
                $"""
                UPDATE experiments SET started_at = now() - interval '3 hours',
                    runs = tstzmultirange(tstzrange(now() - interval '3 hours', NULL)) WHERE id = {world.ExperimentId} RETURNING salt
                """
            );
            world.Salt = (string)(await command.ExecuteScalarAsync())!;
            return world;
        }

        /// <summary>Sends events, from this number on.</summary>
        public async Task Send(int first, int count)
        {
            var next = first / Batch - 1;
            await Task.WhenAll(
                Enumerable
                    .Range(0, Senders)
                    .Select(async _ =>
                    {
                        while (Interlocked.Increment(ref next) is var n && n < (first + count) / Batch)
                        {
                            using var content = new ByteArrayContent(Body(n));
                            content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
                            using var answer = await sdk.PostAsync(new Uri("/v1/events", UriKind.Relative), content);
                            answer.EnsureSuccessStatusCode();
                        }
                    })
            );
        }

        /// <summary>Waits until everything that came in is counted.</summary>
        public Task Counted() => Until("SELECT NOT EXISTS (SELECT FROM event_batches)");

        public async Task AddMetric()
        {
            var metric = await Post(
                admin,
                $"{root}/metrics/",
                new
                {
                    name = "one more",
                    aggregation = "sum",
                    direction = "up",
                    definition = new { @event = "visit", property = "value" },
                }
            );
            await Post(
                admin,
                $"{root}/experiments/{ExperimentId}/metrics/",
                new
                {
                    metric = metric["id"]!.GetValue<long>(),
                    role = "secondary",
                    expected_direction = "increase",
                }
            );
        }

        public Task Backfilled() => Until("SELECT NOT EXISTS (SELECT FROM experiment_metrics WHERE NOT backfilled)");

        private async Task Until(string holds)
        {
            await using var command = source.CreateCommand(holds);
            while (!(bool)(await command.ExecuteScalarAsync())!)
            {
                await Task.Delay(50);
            }
        }

        // An identity is exposed, visits, signs up or not, and purchases.
        private byte[] Body(int batch)
        {
            var body = new StringBuilder("{\"events\":[", 200 * Batch);
            for (var n = (long)batch * Batch; n < (batch + 1L) * Batch; n++)
            {
                var identity = $"user-{n * 7919 % identities}";
                var at = Start + (n / 4 % (2 * 3600_000));
                var (name, value) = (n % 6) switch
                {
                    0 => ("$flag_exposure", Assignment.Variant(Salt, identity, Halves) == 0 ? "control" : "green"),
                    1 or 2 => ("visit", "1"),
                    3 => ("signup", "1"),
                    _ => ("purchase", (n % 97).ToString(CultureInfo.InvariantCulture)),
                };
                var feature = n % 6 == 0 ? $"\"{Feature}\"" : "null";
                body.Append(
                    CultureInfo.InvariantCulture,
                    $$"""{"event":"{{name}}","feature_name":{{feature}},"identifier":"{{identity}}","value":"{{value}}","""
                        + $$""" "metadata":{"sdk_version":"12.4.0"},"timestamp":{{at}}},"""
                );
            }

            body.Length--;
            return Encoding.UTF8.GetBytes(body.Append("]}").ToString());
        }

        private static async Task<JsonNode> Post(HttpClient client, string path, object body)
        {
            using var answer = await client.PostAsJsonAsync(new Uri(path, UriKind.Relative), body);
            var text = await answer.Content.ReadAsStringAsync();
            return answer.IsSuccessStatusCode ? JsonNode.Parse(text)! : throw new InvalidOperationException($"{path}: {text}");
        }
    }
}
