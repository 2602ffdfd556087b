using System.Diagnostics;
using System.Globalization;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Experiments.Bench;

/// <summary>
/// What results cost: over so many events of a million identities in three arms with three metrics, beside the plain query over the raw
/// events.
/// </summary>
internal static class ResultsBenchmark
{
    private const string Key = "the-environment";
    private const string Bare = "an-environment-without-experiments";
    private const int Identities = 1_000_000;
    private static readonly double[] Thirds = Assignment.Cumulate([33.34m, 33.33m, 33.33m]);
    private static readonly string[] Keys = ["control", "green", "red"];

    // The same numbers as of the three metrics, from the raw events.
    private const string Plain = """
        WITH exposed AS (
            SELECT identifier, min(at) AS at, min(value) AS arm FROM events
            WHERE environment_id = 1 AND event = '$flag_exposure' AND feature_name = 'button_colour'
                GROUP BY 1 HAVING count(DISTINCT value) = 1
        ), measured AS (
            SELECT x.identifier, x.arm, count(v.at) AS n, COALESCE(sum(v.value::numeric), 0) AS y
            FROM exposed x LEFT JOIN events v ON v.identifier = x.identifier AND v.environment_id = 1 AND v.event = 'purchase'
                AND v.at >= x.at GROUP BY 1, 2
        )
        SELECT arm, count(*), count(*) FILTER (WHERE n > 0), sum(n), sum(n * n), sum(y), sum(y * y) FROM measured GROUP BY 1 ORDER BY 1
        """;

    public static async Task Run(params long[] sizes)
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        var postgres = new EmbeddedPostgres(directory, "max_wal_size=4GB", "shared_buffers=1GB", "work_mem=256MB");
        Process? service = null;
        DapperSetup.Run();
        try
        {
            await postgres.Start(CancellationToken.None);
            await Migrator.Run(postgres.ConnectionString, null, CancellationToken.None);
            await using var source = DatabaseSetup.Source(postgres.ConnectionString);
            await Plant(source);
            var address = Machine.FreeAddress();
            service = Machine.Start(
                "Experiments.Api.dll",
                [],
                address,
                ("ConnectionStrings__Experiments", postgres.ConnectionString),
                ("Logging__LogLevel__Default", "Warning")
            );
            await Machine.FirstAnswer($"{address}/health/ready");
            using var client = new HttpClient { BaseAddress = new Uri(address), Timeout = TimeSpan.FromMinutes(5) };
            client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Api-Key {Machine.AdminKey}");

            while (await Scalar(source, "SELECT count(*) FROM experiment_metrics WHERE NOT backfilled") > 0)
            {
                await Task.Delay(20);
            }

            Console.WriteLine($"\n{await Machine.Describe(source)}; {Identities:#,0} identities, three arms, three metrics.\n");
            Console.WriteLine(
                "| events stored | let in, per second | let in and aggregated, per second | first results | cached read | refresh "
                    + "after none | refresh after 10 000 | plain query | refresh of plain | DuckDB | recomputation | of plain | from the "
                    + "events as they came | of plain |"
            );
            Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
            var next = 0L;
            foreach (var size in sizes)
            {
                var clock = Stopwatch.StartNew();
                var before = next;
                next = await Send(client, Key, next, size);
                var letIn = (next - before) / clock.Elapsed.TotalSeconds;
                await Folded(source);
                var rate = (next - before) / clock.Elapsed.TotalSeconds;
                await Execute(source, "ANALYZE");
                var first = await Timed(() => Results(client, "?refresh=true"));
                var cached = await Median(() => Results(client, ""));
                var none = await Median(() => Results(client, "?refresh=true"));
                var refreshes = new List<double>();
                for (var round = 0; round < 5; round++)
                {
                    next = await Send(client, Key, next, next + 10_000);
                    refreshes.Add(
                        await Timed(async () =>
                        {
                            await Folded(source);
                            await Results(client, "?refresh=true");
                        })
                    );
                }

                var after = refreshes.Order().ElementAt(2);
                var plain = Math.Min(await Timed(() => Execute(source, Plain)), await Timed(() => Execute(source, Plain)));
                var scan = await DuckDb.Scan(source);
                await using var folding = AggregationWorker.Source(new DatabaseServer(postgres.ConnectionString, null), null);
                var anew = await Timed(() => Turn(() => new RebuildFromUnits(folding).Run(1, CancellationToken.None)));
                var whole = await Timed(() =>
                    Turn(() =>
                        new RebuildFromEvents(
                            new PostgresEventStore(folding, NullLogger<PostgresEventStore>.Instance),
                            folding,
                            TimeSpan.FromDays(1)
                        ).Run(1, CancellationToken.None)
                    )
                );
                Console.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"| {next:#,0} | {letIn:#,0} | {rate:#,0} | {first:0} ms | {cached:0.0} ms | {none:0} ms | {after:0} ms |"
                            + $" {plain:#,0} ms | **{after / plain:0.000}** | {scan:#,0} ms | {anew:#,0} ms | **{anew / plain:0.00}** |"
                            + $" {whole:#,0} ms | {whole / plain:0.00} |"
                    )
                );
            }

            await Export(client, service);
            var alone = Stopwatch.StartNew();
            await Send(client, Bare, 0, Identities);
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"\nLet in where no experiment is, per second: {Identities / alone.Elapsed.TotalSeconds:#,0}."
                )
            );
        }
        finally
        {
            await Machine.Stop(service);
            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    // All identities as CSV, and what that takes of memory.
    private static async Task Export(HttpClient client, Process service)
    {
        using var created = await client.PostAsync(
            new Uri($"/api/v1/environments/{Key}/experiments/1/exposure-cohort/", UriKind.Relative),
            null
        );
        created.EnsureSuccessStatusCode();
        var before = Machine.Resident(service);
        var clock = Stopwatch.StartNew();
        await using var text = await client.GetStreamAsync(new Uri($"/api/v1/environments/{Key}/cohorts/1/export/", UriKind.Relative));
        var buffer = new byte[1 << 16];
        var (lines, most) = (-1L, before);
        for (int read; (read = await text.ReadAsync(buffer)) > 0; )
        {
            lines += buffer.AsSpan(0, read).Count((byte)'\n');
            most = Math.Max(most, Machine.Resident(service));
        }

        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"\nA cohort of {lines:#,0} identities is exported in {clock.Elapsed.TotalSeconds:0.0} s; the service had {before} "
                    + $"MiB of resident memory before and {most} MiB at most."
            )
        );
    }

    private static async Task Turn<T>(Func<Task<T?>> run)
        where T : class
    {
        while (await run() is null)
        {
            await Task.Delay(20);
        }
    }

    private static async Task<long> Send(HttpClient client, string key, long from, long until)
    {
        var next = from - 2000;
        await Task.WhenAll(
            Enumerable
                .Range(0, 4)
                .Select(async _ =>
                {
                    while (Interlocked.Add(ref next, 2000) is var first && first < until)
                    {
                        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/events")
                        {
                            Content = new ByteArrayContent(Body(first, Math.Min(first + 2000, until))),
                        };
                        request.Headers.TryAddWithoutValidation("X-Environment-Key", key);
                        request.Content.Headers.ContentType = new("application/json");
                        using var answer = await client.SendAsync(request);
                        answer.EnsureSuccessStatusCode();
                    }
                })
        );
        return until;
    }

    private static readonly long Start = DateTimeOffset.UtcNow.AddHours(-2).ToUnixTimeMilliseconds();

    private static byte[] Body(long from, long until)
    {
        var body = new System.Text.StringBuilder("{\"events\":[", 200 * 2000);
        for (var n = from; n < until; n++)
        {
            // Of each five one is an exposure and four are purchases of the same identity; a million fives are all identities.
            var identity = $"user-{n / 5 * 7919 % Identities}";
            var at = Start + (n / 4 % (2 * 3600_000));
            if (n % 5 == 0)
            {
                var variant = Keys[Assignment.Variant("salt", identity, Thirds)];
                body.Append(
                    CultureInfo.InvariantCulture,
                    $$"""{"event":"$flag_exposure","feature_name":"button_colour","identifier":"{{identity}}","value":"{{variant}}","""
                        + $$""" "timestamp":{{Start}}},"""
                );
            }
            else
            {
                body.Append(
                    CultureInfo.InvariantCulture,
                    $$"""{"event":"purchase","identifier":"{{identity}}","value":"{{n % 97}}","timestamp":{{at}}},"""
                );
            }
        }

        body.Length--;
        return System.Text.Encoding.UTF8.GetBytes(body.Append("]}").ToString());
    }

    private static async Task Results(HttpClient client, string query)
    {
        using var answer = await client.GetAsync(new Uri($"/api/v1/environments/{Key}/experiments/1/results/{query}", UriKind.Relative));
        answer.EnsureSuccessStatusCode();
        await answer.Content.ReadAsByteArrayAsync();
    }

    private static async Task<double> Timed(Func<Task> work)
    {
        var clock = Stopwatch.StartNew();
        await work();
        return clock.Elapsed.TotalMilliseconds;
    }

    private static async Task<double> Median(Func<Task> work)
    {
        var times = new List<double>();
        for (var round = 0; round < 9; round++)
        {
            times.Add(await Timed(work));
        }

        return times.Order().ElementAt(4);
    }

    private static async Task Folded(NpgsqlDataSource source)
    {
        while (await Scalar(source, "SELECT count(*) FROM event_batches") > 0)
        {
            await Task.Delay(5);
        }
    }

    private static async Task<long> Scalar(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private static async Task Plant(NpgsqlDataSource source) =>
        await Execute(
            source,
            $$"""
            INSERT INTO projects (name, organisation) VALUES ('bench', 'bench');
            INSERT INTO environments (project_id, name, key) VALUES (1, 'bench', '{{Key}}'), (1, 'bare', '{{Bare}}');
            INSERT INTO features (project_id, name, default_value, options)
                VALUES (1, 'button_colour', '"blue"',
                    '[{"id": 1, "key": "green", "value": "green"}, {"id": 2, "key": "red", "value": "red"}]');
            UPDATE feature_states SET enabled = true WHERE environment_id = 1;
            INSERT INTO experiments (environment_id, feature_id, name, hypothesis, variants, created_by, status, started_at, runs, salt)
                SELECT 1, id, 'Green button', 'It sells more.', variants_of(initial_value, multivariate_options, NULL), 'bench', 'running',
                       now() - interval '3 hours', tstzmultirange(tstzrange(now() - interval '3 hours', NULL)), 'salt'
                FROM environment_features WHERE environment_id = 1;
            INSERT INTO metrics (environment_id, name, aggregation, definition, created_by)
                VALUES (1, 'bought', 'occurrence', '{"event": "purchase"}', 'bench'),
                    (1, 'purchases', 'count', '{"event": "purchase"}', 'bench'), (1, 'revenue', 'sum', '{"event": "purchase"}', 'bench');
            INSERT INTO experiment_metrics (environment_id, experiment_id, metric_id, role, expected_direction, name, aggregation,
                direction, definition)
                SELECT 1, 1, id, CASE id WHEN 1 THEN 'primary' ELSE 'secondary' END, 'increase', name, aggregation, direction, definition
                FROM metrics ORDER BY id;
            """
        );

    private static async Task Execute(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync();
    }
}
