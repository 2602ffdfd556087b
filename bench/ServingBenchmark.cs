using System.Globalization;
using Experiments.Api;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Bench;

/// <summary>Evaluation beside a Kestrel endpoint that answers a constant of the same size, turn by turn in one run.</summary>
internal static class ServingBenchmark
{
    private const int Rounds = 3;
    private const int Flags = 50;
    private const string Key = "the-environment";

    public static async Task Run(TimeSpan duration)
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        var postgres = new EmbeddedPostgres(directory);
        var files = Directory.CreateTempSubdirectory("experiments-bench-").FullName;
        System.Diagnostics.Process? service = null,
            constant = null;
        try
        {
            await postgres.Start(CancellationToken.None);
            await Migrator.Run(postgres.ConnectionString, null, CancellationToken.None);
            await using var source = DatabaseSetup.Source(postgres.ConnectionString);
            await Plant(source);
            var (serviceAddress, constantAddress) = (Machine.FreeAddress(), Machine.FreeAddress());
            service = Machine.Start(
                "Experiments.Api.dll",
                [],
                serviceAddress,
                ("ConnectionStrings__Experiments", postgres.ConnectionString)
            );
            constant = Machine.Start("Experiments.Bench.dll", ["constant", constantAddress, files], constantAddress);
            await Machine.FirstAnswer($"{serviceAddress}/health/ready");
            await File.WriteAllTextAsync(Path.Combine(files, "ready"), "\"ready\"");
            await Machine.FirstAnswer($"{constantAddress}/ready");

            Console.WriteLine(
                $"\n{await Machine.Describe(source)}; {Flags} flags with an experiment each and a holdout of theirs;"
                    + $" {duration.TotalSeconds:0} s a run, median of {Rounds}, 32 connections.\n"
            );
            Console.WriteLine("| | bytes | service, per second | p50 / p99 ms | constant | of constant | allocated | queries |");
            Console.WriteLine("|---|---|---|---|---|---|---|---|");
            foreach (var operation in Operations)
            {
                await Measure(operation, serviceAddress, constantAddress, files, source, postgres.ConnectionString, duration);
            }
        }
        finally
        {
            await Machine.Stop(service);
            await Machine.Stop(constant);
            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
            Directory.Delete(files, recursive: true);
        }
    }

    private static IEnumerable<Operation> Operations =>
        [
            new(
                "one flag (OFREP)",
                n => $$$"""POST /ofrep/v1/evaluate/flags/flag-{{{n % Flags}}} {"context":{"targetingKey":"user-{{{n}}}"}}"""
            ),
            new("identity with 50 flags (Flagsmith)", n => $"GET /api/v1/identities/?identifier=user-{n}"),
            AllAtOnce,
            AllAtOnce with
            {
                Name = $"{AllAtOnce.Name}, gzip",
                Headers = "\nAccept-Encoding: gzip",
            },
            new("all 50 flags at once (PostHog)", n => $$$"""POST /flags/?v=2 {"token":"{{{Key}}}","distinct_id":"user-{{{n}}}"}"""),
        ];

    private static Operation AllAtOnce =>
        new("all 50 flags at once (OFREP)", n => $$$"""POST /ofrep/v1/evaluate/flags {"context":{"targetingKey":"user-{{{n}}}"}}""");

    private static async Task Measure(
        Operation operation,
        string serviceAddress,
        string constantAddress,
        string files,
        NpgsqlDataSource source,
        string connectionString,
        TimeSpan duration
    )
    {
        var lines = Enumerable.Range(0, 2000).Select(operation.Request).ToArray();
        var answer = await Answer(serviceAddress, lines[0]);
        var constant = $"{answer.Length}.json";
        await File.WriteAllBytesAsync(Path.Combine(files, constant), answer);
        var headers = $"X-Environment-Key: {Key}{operation.Headers}";
        var (requests, yardstick) = (Path.Combine(files, "requests.txt"), Path.Combine(files, "yardstick.txt"));
        await File.WriteAllLinesAsync(requests, lines);
        // The same requests in all but the path.
        await File.WriteAllLinesAsync(
            yardstick,
            lines.Select(line =>
                string.Join(' ', [.. line.Split(' ', 3) is [var method, _, .. var body] ? (string[])[method, $"/{constant}", .. body] : []])
            )
        );
        var (ours, theirs) = (new List<Measured>(), new List<Measured>());
        var before = await Queries(source);
        for (var round = 0; round <= Rounds; round++)
        {
            var one = await Load.Wrk(serviceAddress, requests, headers, false, duration);
            var other = await Load.Wrk(constantAddress, yardstick, headers, false, duration);
            if (round > 0)
            {
                ours.Add(one);
                theirs.Add(other);
            }
        }

        var queries = await Queries(source) - before - 1;
        var (o, t) = (Measured.Median(ours), Measured.Median(theirs));
        var allocated = await Allocated(connectionString, requests, headers, duration);
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"| {operation.Name} | {answer.Length:#,0} | {o.PerSecond:#,0} | {o.P50:0.0} / {o.P99:0.0} | {t.PerSecond:#,0} | "
                    + $"**{o.PerSecond / t.PerSecond:0.00}** | {allocated:#,0} B |"
                    + $" {queries / (ours.Sum(run => run.PerSecond) * duration.TotalSeconds):0.00000} |"
            )
        );
    }

    // What a request allocates, of everything that the process allocates under the same load.
    private static async Task<double> Allocated(string connectionString, string requests, string headers, TimeSpan duration)
    {
        var address = Machine.FreeAddress();
        await using var app = Service.Build([
            $"--urls={address}",
            $"--ConnectionStrings:Experiments={connectionString}",
            "--environment=Production",
            "--Logging:LogLevel:Default=Error",
            "--Logging:LogLevel:Microsoft.Hosting.Lifetime=None",
            $"--EXPERIMENTS_ADMIN_KEY={Machine.AdminKey}",
        ]);
        await app.StartAsync();
        await Load.Wrk(address, requests, headers, false, duration);
        var before = GC.GetTotalAllocatedBytes(precise: true);
        var run = await Load.Wrk(address, requests, headers, false, duration);
        var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        await app.StopAsync();
        return allocated / (run.PerSecond * duration.TotalSeconds);
    }

    private static async Task<byte[]> Answer(string address, string line)
    {
        using var client = new HttpClient();
        var parts = line.Split(' ', 3);
        using var request = new HttpRequestMessage(new HttpMethod(parts[0]), new Uri(address + parts[1]));
        request.Headers.Add("X-Environment-Key", Key);
        if (parts.Length == 3)
        {
            request.Content = new StringContent(parts[2], System.Text.Encoding.UTF8, "application/json");
        }

        using var answer = await client.SendAsync(request);
        return await answer.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync();
    }

    private static async Task<long> Queries(NpgsqlDataSource source)
    {
        await using var command = source.CreateCommand(
            "SELECT pg_stat_force_next_flush(); SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        );
        await using var reader = await command.ExecuteReaderAsync();
        await reader.NextResultAsync();
        await reader.ReadAsync();
        return reader.GetInt64(0);
    }

    private static async Task Plant(NpgsqlDataSource source)
    {
        await using var command = source.CreateCommand(
            $"""
            INSERT INTO projects (name, organisation) VALUES ('bench', 'bench');
            INSERT INTO environments (project_id, name, key) VALUES (1, 'bench', '{Key}');
            INSERT INTO features (project_id, name, default_value, options)
                SELECT 1, 'flag-' || n, '"blue"', '[{"{"}"id": 1, "key": "green", "value": "green"{"}"}]'
                        FROM generate_series(0, {Flags
                - 1}) n;
            UPDATE feature_states SET enabled = true;
            INSERT INTO holdouts (environment_id, name, percentage, created_by) VALUES (1, 'Never in a test', 5, 'bench');
            INSERT INTO experiments (environment_id, feature_id, name, hypothesis, variants, created_by, status, started_at, runs,
                rollout_percentage, holdout_id)
                SELECT 1, id, 'Experiment ' || id, 'It sells more.', variants_of(initial_value, multivariate_options, NULL), 'bench',
                    'running', now(), tstzmultirange(tstzrange(now(), NULL)), 80, 1 FROM environment_features;
            """
        );
        await command.ExecuteNonQueryAsync();
    }

    private sealed record Operation(string Name, Func<int, string> Request)
    {
        /// <summary>Headers beside the key of the environment, each after a line break.</summary>
        public string Headers { get; init; } = "";
    }
}
