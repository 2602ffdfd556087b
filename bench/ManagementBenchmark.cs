using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Platform.Data;

namespace Experiments.Bench;

/// <summary>The service beside its raw twin and beside pgbench, turn by turn in one run on one database.</summary>
internal static class ManagementBenchmark
{
    private const int Rounds = 3;
    private const int Callers = 2;

    /// <param name="duration">How long a run is.</param>
    /// <param name="rows">Which rows to measure: those whose names hold one of these, between commas.</param>
    public static async Task Run(TimeSpan duration, string rows = "")
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        var postgres = new EmbeddedPostgres(directory, "max_wal_size=4GB", "autovacuum=off");
        Process? service = null,
            twin = null;
        try
        {
            await postgres.Start(CancellationToken.None);
            await Migrator.Run(postgres.ConnectionString, null, CancellationToken.None);
            await using var source = DatabaseSetup.Source(postgres.ConnectionString);
            var files = Directory.CreateTempSubdirectory("experiments-bench-").FullName;
            var seed = new Seed(source, files);
            Console.Error.WriteLine("bench: planting");
            await seed.Plant();

            var (serviceAddress, twinAddress) = (Machine.FreeAddress(), Machine.FreeAddress());
            service = Machine.Start(
                "Experiments.Api.dll",
                [],
                serviceAddress,
                ("ConnectionStrings__Experiments", postgres.ConnectionString)
            );
            twin = Machine.Start("Experiments.Bench.dll", ["twin", postgres.ConnectionString, twinAddress], twinAddress);
            await Machine.FirstAnswer($"{serviceAddress}/health/ready");
            await Task.Delay(1000);
            var credentials = await Credentials(serviceAddress);

            var socket = postgres.ConnectionString.Split(';')[0].Split('=')[1];
            Console.WriteLine(
                $"{await Machine.Describe(source)}; {duration.TotalSeconds:0} s a run, median of {Rounds}, "
                    + $"32 connections of {Callers} callers.\n"
            );
            Console.WriteLine(
                "| | service, per second | p50 / p99 ms | raw twin | p50 / p99 ms | of twin | pgbench | of pgbench | CPU a request |"
                    + " of the twin |"
            );
            Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
            await WarmUp(seed, serviceAddress, twinAddress, credentials, duration);
            foreach (
                var operation in Operations(seed)
                    .Where(operation => rows.Split(',').Any(row => operation.Name.Contains(row, StringComparison.Ordinal)))
            )
            {
                var runs = (Service: new List<Measured>(), Twin: new List<Measured>(), Pgbench: new List<Measured>());
                // The first turn warms everything up and does not count.
                for (var round = 0; round <= Rounds; round++)
                {
                    var time = round == 0 && !operation.Writes ? 2 * duration : duration;
                    var turn = (
                        await Turn(
                            seed,
                            operation,
                            service,
                            () => Load.Wrk(serviceAddress, operation.Requests, credentials, operation.Writes, time)
                        ),
                        await Turn(
                            seed,
                            operation,
                            twin,
                            () => Load.Wrk(twinAddress, operation.Requests, credentials, operation.Writes, time)
                        ),
                        await Turn(seed, operation, null, () => Load.Pgbench(socket, operation.Script, time))
                    );
                    if (round > 0)
                    {
                        runs.Service.Add(turn.Item1);
                        runs.Twin.Add(turn.Item2);
                        runs.Pgbench.Add(turn.Item3);
                    }
                }

                var (s, t, p) = (Measured.Median(runs.Service), Measured.Median(runs.Twin), Measured.Median(runs.Pgbench));
                Console.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"| {operation.Name} | {s.PerSecond:#,0} | {s.P50:0.0} / {s.P99:0.0} | {t.PerSecond:#,0} |"
                            + $" {t.P50:0.0} / {t.P99:0.0} | "
                            + $"**{s.PerSecond / t.PerSecond:0.00}** | {p.PerSecond:#,0} | {s.PerSecond / p.PerSecond:0.00} | "
                            + $"{s.Cpu:0} µs | {t.Cpu:0} µs |"
                    )
                );
            }

            Console.WriteLine($"\nResident memory of the service after the run: {Machine.Resident(service)} MiB.");
            Directory.Delete(files, recursive: true);
        }
        finally
        {
            await Machine.Stop(service);
            await Machine.Stop(twin);
            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }

        await StartUp();
    }

    private static IEnumerable<Operation> Operations(Seed seed)
    {
        yield return new(
            "get",
            false,
            seed.Reads,
            "\\set id random(1, 10000)\n" + Statements.ForPgbench(Statements.Get, ("Id", ":id"), ("EnvironmentId", "(1 + :id % 50)"))
        );
        yield return new(
            "list of 20",
            false,
            seed.Lists,
            "\\set env random(1, 50)\n"
                + Statements.ForPgbench(
                    Statements.List,
                    ("EnvironmentId", ":env"),
                    ("Archived", "false"),
                    ("Pattern", "NULL"),
                    ("Statuses", "'{created,running,paused,completed}'"),
                    ("CreatedBy", "NULL::text"),
                    ("Feature", "NULL::bigint"),
                    ("Limit", "20"),
                    ("Offset", "0")
                )
        );
        yield return new(
            "create",
            true,
            seed.Creates,
            Counter(seed.FirstFeature)
                + Statements.ForPgbench(
                    Statements.Create,
                    ("EnvironmentId", "51"),
                    ("Feature", ":id"),
                    ("FeatureName", "NULL::text"),
                    ("Unit", "''"),
                    ("Hashing", "'native'"),
                    ("Connection", "NULL"),
                    ("Source", "NULL"),
                    ("Aa", "false"),
                    ("FeatureValue", "NULL"),
                    ("FeatureOptions", "NULL"),
                    ("Weights", "NULL"),
                    ("Metrics", "NULL"),
                    ("Transforms", "'{}'"),
                    ("Holdout", "NULL::bigint"),
                    ("Exposure", "'{}'"),
                    ("Breakdowns", "'{}'::text[]"),
                    ("DefaultMargin", "0.1::float8"),
                    ("Name", "'Experiment'"),
                    ("Hypothesis", "'It sells more.'"),
                    ("Description", "''"),
                    ("Type", "'product'"),
                    ("Rollout", "100"),
                    ("Actor", "'api-key:1'")
                )
        );
        yield return new(
            "start",
            true,
            seed.Starts,
            Counter(seed.FirstExperiment)
                + Statements.ForPgbench(
                    Statements.Start,
                    ("EnvironmentId", "51"),
                    ("Id", ":id"),
                    ("IfMatch", "NULL"),
                    ("From", "'{created,paused}'"),
                    ("Actor", "'api-key:1'"),
                    ("Action", "'experiment.started'")
                )
        );
        yield return new(
            "duplicate",
            true,
            seed.Duplicates,
            Counter(seed.FirstFeature)
                + Statements.ForPgbench(
                    Statements.Duplicate,
                    ("EnvironmentId", "51"),
                    ("Feature", ":id"),
                    ("Id", $"{seed.FirstExperiment}"),
                    ("Target", "51"),
                    ("Name", "NULL::text"),
                    ("Actor", "'api-key:1'")
                )
        );
        yield return new(
            "get a holdout",
            false,
            seed.HoldoutReads,
            "\\set id random(1, 10000)\n" + Statements.ForPgbench(Statements.GetHoldout, ("Id", ":id"), ("EnvironmentId", "(1 + :id % 50)"))
        );
        yield return new(
            "list 20 holdouts",
            false,
            seed.HoldoutLists,
            "\\set env random(1, 50)\n"
                + Statements.ForPgbench(
                    Statements.ListHoldouts,
                    ("EnvironmentId", ":env"),
                    ("Pattern", "NULL"),
                    ("Limit", "20"),
                    ("Offset", "0")
                )
        );
        yield return new(
            "create a holdout",
            true,
            seed.HoldoutCreates,
            Statements.ForPgbench(
                Statements.CreateHoldout,
                ("EnvironmentId", "51"),
                ("Name", "'Holdout'"),
                ("Description", "''"),
                ("Percentage", "5"),
                ("Unit", "''"),
                ("Actor", "'api-key:1'")
            )
        );
        yield return new(
            "get a cohort",
            false,
            seed.CohortReads,
            "\\set id random(1, 100)\n" + Statements.ForPgbench(Statements.GetCohort, ("Id", ":id"), ("EnvironmentId", "1"))
        );
        yield return new(
            "list 20 of its 1 000 members",
            false,
            seed.MemberLists,
            "\\set id random(1, 100)\n"
                + Statements.ForPgbench(Statements.ListMembers, ("Id", ":id"), ("EnvironmentId", "1"), ("Limit", "20"), ("Offset", "0"))
        );
        yield return new(
            "list 20 names of events",
            false,
            seed.NameLists,
            "\\set env random(1, 50)\n"
                + Statements.ForPgbench(
                    Statements.ListEventNames,
                    ("EnvironmentId", ":env"),
                    ("Pattern", "NULL"),
                    ("Limit", "20"),
                    ("Offset", "0")
                )
        );
    }

    // Several callers, as 32 connections would have: what one caller may have at work at once is limited, in the twin it is not.
    private static async Task<string> Credentials(string address)
    {
        using var client = new HttpClient { BaseAddress = new(address) };
        client.DefaultRequestHeaders.Add("Authorization", $"Api-Key {Machine.AdminKey}");
        var keys = new List<string> { Machine.AdminKey };
        while (keys.Count < Callers)
        {
            using var created = await client.PostAsJsonAsync("/api/v1/api-keys/", new { name = $"caller {keys.Count}" });
            created.EnsureSuccessStatusCode();
            keys.Add((await created.Content.ReadFromJsonAsync<JsonObject>())!["key"]!.GetValue<string>());
        }

        return string.Join('\n', keys.Select(key => $"Authorization: Api-Key {key}"));
    }

    // What the first rows would otherwise pay: the compiler works on the most frequent code for some time.
    private static async Task WarmUp(Seed seed, string service, string twin, string credentials, TimeSpan duration)
    {
        foreach (var address in new[] { service, twin, service, twin })
        {
            foreach (var requests in new[] { seed.Reads, seed.HoldoutReads, seed.CohortReads, seed.MemberLists })
            {
                await Load.Wrk(address, requests, credentials, false, duration);
            }
        }
    }

    // Each client of pgbench counts through its own share of the pool.
    private static string Counter(long first) => $"\\set n :n + 1\n\\set id {first} + :client_id * {Seed.Pool / 32} + :n\n";

    private static async Task<Measured> Turn(Seed seed, Operation operation, Process? server, Func<Task<Measured>> run)
    {
        var before = Machine.Cpu(server);
        var measured = await run();
        measured = measured with { Cpu = (Machine.Cpu(server) - before).TotalMicroseconds / measured.Requests };
        if (operation.Writes)
        {
            await seed.PutBack();
        }

        return measured;
    }

    private static async Task StartUp()
    {
        var directory = $"/tmp/experiments-bench-start-{Environment.ProcessId}";
        foreach (var kind in new[] { "cold", "warm" })
        {
            var address = Machine.FreeAddress();
            var clock = Stopwatch.StartNew();
            var service = Machine.Start("Experiments.Api.dll", [], address, ("EXPERIMENTS_DATA", directory));
            await Machine.FirstAnswer($"{address}/health/ready");
            Console.WriteLine(
                $"Start-up to the first 200, embedded, {kind}:"
                    + $" {clock.Elapsed.TotalSeconds.ToString("0.00", CultureInfo.InvariantCulture)} s."
            );
            await Machine.Stop(service);
        }

        Directory.Delete(directory, recursive: true);
    }

    private sealed record Operation(string Name, bool Writes, string Requests, string Script);
}
