using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Npgsql;
using NpgsqlTypes;

namespace Experiments.Bench;

/// <summary>
/// Ingestion through HTTP beside one client inside of a process that puts the same rows into the same table, and what it is
/// to read exposures while ten million events come in.
/// </summary>
internal static class EventsBenchmark
{
    private const int Batch = 1000;
    private const int Senders = 6;
    private const int Total = 10_000_000;
    private const int Identities = 1_000_000;
    private const string Key = "the-environment";
    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(5);

    public static async Task Run()
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        var postgres = new EmbeddedPostgres(directory, "max_wal_size=4GB");
        Process? service = null;
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
            await Task.Delay(1000);

            Console.WriteLine(
                $"\n{await Machine.Describe(source)}; batches of {Batch:#,0} events of about {Body(0).Length / Batch} bytes of "
                    + $"JSON, one in five an exposure; {Turn.TotalSeconds:0} s a turn, median of 3.\n"
            );
            await Compare(source, address);
            await Sizes(source);
            await ReadWhileWriting(source, address);
        }
        finally
        {
            await Machine.Stop(service);
            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task Compare(NpgsqlDataSource source, string address)
    {
        var (ours, postHog, theirs, copied) = (new List<double>(), new List<double>(), new List<double>(), new List<double>());
        var next = 0;
        // A row of bodies that stand ready, so that nothing but sending them is measured.
        for (var round = 0; round <= 3; round++)
        {
            var bodies = Enumerable.Range(next, 1500).AsParallel().AsOrdered().Select(Body).ToArray();
            next += bodies.Length;
            var http = await Http(address, "/v1/events", bodies, Turn);
            await Folded(source);
            var captured = Enumerable.Range(next, 1500).AsParallel().AsOrdered().Select(PostHogBody).ToArray();
            next += captured.Length;
            var dialect = await Http(address, "/batch/", captured, Turn);
            await Folded(source);
            var unnested = await Unnest(source, next, Turn);
            next += 3000;
            var copy = await Copy(source, next, Turn);
            if (round > 0)
            {
                ours.Add(http);
                postHog.Add(dialect);
                theirs.Add(unnested);
                copied.Add(copy);
            }
        }

        var (o, p, t, c) = (Median(ours), Median(postHog), Median(theirs), Median(copied));
        Console.WriteLine("| events per second | | of one client with unnest |");
        Console.WriteLine("|---|---|---|");
        Console.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"| HTTP, durable, each once, aggregated | {o:#,0} | **{o / t:0.00}** |")
        );
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"| the same as PostHog's SDKs send it, {p / o:0.00} of our own | {p:#,0} | {p / t:0.00} |"
            )
        );
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"| one client, INSERT ... SELECT unnest ... ON CONFLICT DO NOTHING | {t:#,0} | 1 |"
            )
        );
        Console.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"| one client, COPY without looking for duplicates | {c:#,0} | {c / t:0.00} |")
        );
    }

    private static async Task<double> Http(string address, string path, byte[][] bodies, TimeSpan duration)
    {
        using var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Senders }) { BaseAddress = new Uri(address) };
        var (sent, next) = (0, -1);
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(
            Enumerable
                .Range(0, Senders)
                .Select(async _ =>
                {
                    while (clock.Elapsed < duration && Interlocked.Increment(ref next) is var n && n < bodies.Length)
                    {
                        await Post(client, path, bodies[n]);
                        Interlocked.Increment(ref sent);
                    }
                })
        );
        return sent * Batch / clock.Elapsed.TotalSeconds;
    }

    private static async Task Post(HttpClient client, string path, byte[] body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        request.Headers.Add("X-Environment-Key", Key);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var answer = await client.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }

    private static async Task<double> Unnest(NpgsqlDataSource source, int first, TimeSpan duration)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO events (at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits, metadata)
            SELECT e.at, e.key, 0, 1, e.at, e.event, e.feature_name, e.identifier, e.value, NULL, e.metadata::jsonb
            FROM unnest($1, $2, $3, $4, $5, $6, $7) AS e(at, key, event, feature_name, identifier, value, metadata)
            ON CONFLICT DO NOTHING
            """,
            connection
        );
        var done = 0;
        // Without the making of the rows, which the bodies of the requests have behind them as well.
        var clock = new Stopwatch();
        for (; clock.Elapsed < duration; done++)
        {
            var rows = Enumerable.Range(0, Batch).Select(n => Event(((long)(first + done) * Batch) + n)).ToArray();
            clock.Start();
            command.Parameters.Clear();
            Column(NpgsqlDbType.TimestampTz, row => DateTime.UnixEpoch.AddMilliseconds(row.At));
            Column(NpgsqlDbType.Bigint, row => row.Key);
            Column(NpgsqlDbType.Text, row => row.Name);
            Column(NpgsqlDbType.Text, row => row.Feature);
            Column(NpgsqlDbType.Text, row => row.Identifier);
            Column(NpgsqlDbType.Text, row => row.Value);
            Column(NpgsqlDbType.Text, _ => Metadata);
            await command.ExecuteNonQueryAsync();
            clock.Stop();

            void Column<T>(NpgsqlDbType type, Func<Row, T> of) =>
                command.Parameters.Add(
                    new NpgsqlParameter<T[]>
                    {
                        TypedValue = Array.ConvertAll(rows, row => of(row)),
                        NpgsqlDbType = NpgsqlDbType.Array | type,
                    }
                );
        }

        return done * Batch / clock.Elapsed.TotalSeconds;
    }

    private static async Task<double> Copy(NpgsqlDataSource source, int first, TimeSpan duration)
    {
        await using var connection = await source.OpenConnectionAsync();
        await Execute(source, "CREATE TABLE IF NOT EXISTS copied (LIKE events); TRUNCATE copied");
        var done = 0;
        var clock = new Stopwatch();
        for (; clock.Elapsed < duration; done++)
        {
            var rows = Enumerable.Range(0, Batch).Select(n => Event(((long)(first + done) * Batch) + n)).ToArray();
            clock.Start();
            await using var writer = await connection.BeginBinaryImportAsync(
                "COPY copied (at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, metadata) "
                    + "FROM STDIN (FORMAT binary)"
            );
            foreach (var row in rows)
            {
                await writer.StartRowAsync();
                await writer.WriteAsync(DateTime.UnixEpoch.AddMilliseconds(row.At), NpgsqlDbType.TimestampTz);
                await writer.WriteAsync(row.Key, NpgsqlDbType.Bigint);
                await writer.WriteAsync(0L, NpgsqlDbType.Bigint);
                await writer.WriteAsync(1L, NpgsqlDbType.Bigint);
                await writer.WriteAsync(DateTime.UnixEpoch.AddMilliseconds(row.At), NpgsqlDbType.TimestampTz);
                await writer.WriteAsync(row.Name, NpgsqlDbType.Text);
                await writer.WriteAsync(row.Feature, NpgsqlDbType.Text);
                await writer.WriteAsync(row.Identifier, NpgsqlDbType.Text);
                await writer.WriteAsync(row.Value, NpgsqlDbType.Text);
                await writer.WriteAsync(Metadata, NpgsqlDbType.Jsonb);
            }

            await writer.CompleteAsync();
            clock.Stop();
        }

        return done * Batch / clock.Elapsed.TotalSeconds;
    }

    private static async Task Sizes(NpgsqlDataSource source)
    {
        await Execute(source, "DROP TABLE copied");
        await using var command = source.CreateCommand(
            """
            SELECT sum(pg_relation_size(relid)), sum(pg_indexes_size(relid)), (SELECT count(*) FROM events)
            FROM pg_partition_tree('events') WHERE isleaf
            """
        );
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        var events = reader.GetInt64(2);
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"\nOn disk, an event takes {reader.GetDecimal(0) / events:0} bytes of table and {reader.GetDecimal(1) / events:0} "
                    + $"of indexes."
            )
        );
    }

    private static async Task ReadWhileWriting(NpgsqlDataSource source, string address)
    {
        using var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Senders }) { BaseAddress = new Uri(address) };
        var (next, bounded) = (20_000, Stopwatch.StartNew());
        var stored = await Count(source);
        // So that the last of the ten million and the reads come at the same time. A fast machine has stored them already.
        var wanted = Math.Max(Total / 4 / Batch, (int)((Total - stored) / Batch));
        var last = next + wanted;
        var latencies = new List<double>();
        var sending = Task.WhenAll(
            Enumerable
                .Range(0, 3)
                .Select(async _ =>
                {
                    while (Interlocked.Increment(ref next) is var n && n <= last && bounded.Elapsed < TimeSpan.FromMinutes(6))
                    {
                        await Post(client, "/v1/events", Body(n));
                    }
                })
        );
        using var reader = new HttpClient { BaseAddress = new Uri(address) };
        reader.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Api-Key {Machine.AdminKey}");
        while (!sending.IsCompleted)
        {
            var clock = Stopwatch.StartNew();
            using var answer = await reader.GetAsync(new Uri($"/api/v1/environments/{Key}/experiments/1/exposures/", UriKind.Relative));
            answer.EnsureSuccessStatusCode();
            await answer.Content.ReadAsByteArrayAsync();
            latencies.Add(clock.Elapsed.TotalMilliseconds);
            await Task.Delay(50);
        }

        await sending;
        var took = bounded.Elapsed;
        var late = latencies.Skip(latencies.Count / 2).Order().ToList();
        var events = await Count(source);
        var folding = Stopwatch.StartNew();
        await Folded(source);
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"\n{events:#,0} events in ({(events - stored) / took.TotalSeconds:#,0} a second with the readers and the making of "
                    + $"the events on the same cores); the exposures were read {latencies.Count} times meanwhile, in the second half in"
                    + $" {late[late.Count / 2]:0.0} ms (p50) and {late[(int)(late.Count * 0.99)]:0.0} ms (p99). All was aggregated"
                    + $" {folding.Elapsed.TotalSeconds:0.0} s after the last."
            )
        );
        var after = Stopwatch.StartNew();
        var text = await reader.GetStringAsync(new Uri($"/api/v1/environments/{Key}/experiments/1/exposures/", UriKind.Relative));
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"Then they are read in {after.Elapsed.TotalMilliseconds:0.0} ms:"
                    + $" {(long)System.Text.Json.Nodes.JsonNode.Parse(text)!["total"]!:#,0} identities."
            )
        );
    }

    // Until everything that came in is counted.
    private static async Task Folded(NpgsqlDataSource source)
    {
        while (await Scalar(source, "SELECT count(*) FROM event_batches") > 0)
        {
            await Task.Delay(20);
        }
    }

    private static Task<long> Count(NpgsqlDataSource source) => Scalar(source, "SELECT count(*) FROM events");

    private const string Metadata = """{"sdk_version":"12.4.0"}""";
    private static readonly long Start = DateTimeOffset.UtcNow.AddHours(-2).ToUnixTimeMilliseconds();
    private static readonly double[] Halves = Assignment.Cumulate([50, 50]);

    private static Row Event(long n)
    {
        var identity = $"user-{n * 7919 % Identities}";
        var at = Start + (n / 4 % (2 * 3600_000));
        return n % 5 == 0
            ? new(
                at,
                n,
                "$flag_exposure",
                "button_colour",
                identity,
                Assignment.Variant("salt", identity, Halves) == 0 ? "control" : "green"
            )
            : new(at, n, "purchase", null, identity, (n % 97).ToString(CultureInfo.InvariantCulture));
    }

    private static byte[] Body(int batch)
    {
        var body = new StringBuilder("{\"events\":[", 200 * Batch);
        for (var n = (long)batch * Batch; n < (batch + 1L) * Batch; n++)
        {
            var row = Event(n);
            var feature = row.Feature is null ? "null" : $"\"{row.Feature}\"";
            body.Append(
                CultureInfo.InvariantCulture,
                $$"""{"event":"{{row.Name}}","feature_name":{{feature}},"identifier":"{{row.Identifier}}","value":"{{row.Value}}","""
                    + $$""" "traits":null,"metadata":{{Metadata}},"timestamp":{{row.At}}},"""
            );
        }

        body.Length--;
        return Encoding.UTF8.GetBytes(body.Append("]}").ToString());
    }

    // What posthog-node sends of the same, which compresses it; here it is plain, as ours is.
    private static byte[] PostHogBody(int batch)
    {
        var body = new StringBuilder($"{{\"api_key\":\"{Key}\",\"batch\":[", 400 * Batch);
        for (var n = (long)batch * Batch; n < (batch + 1L) * Batch; n++)
        {
            var row = Event(n);
            var (name, properties) = row.Feature is null
                ? (row.Name, $"\"value\":{row.Value}")
                : ("$feature_flag_called", $"\"$feature_flag\":\"{row.Feature}\",\"$feature_flag_response\":\"{row.Value}\"");
            body.Append(
                CultureInfo.InvariantCulture,
                $$$"""{"event":"{{{name}}}","distinct_id":"{{{row.Identifier}}}","uuid":"{{{Guid.CreateVersion7()}}}","properties":{"""
                    + $$$"""{{{properties}}},"$lib":"posthog-node","$lib_version":"5.70.0"},"timestamp":"{{{At(row)}}}"},"""
            );
        }

        body.Length--;
        return Encoding.UTF8.GetBytes(body.Append("]}").ToString());

        static string At(Row row) => DateTime.UnixEpoch.AddMilliseconds(row.At).ToString("O", CultureInfo.InvariantCulture);
    }

    private static async Task Plant(NpgsqlDataSource source) =>
        await Execute(
            source,
            $$"""
            INSERT INTO projects (name, organisation) VALUES ('bench', 'bench');
            INSERT INTO environments (project_id, name, key) VALUES (1, 'bench', '{{Key}}');
            INSERT INTO features (project_id, name, default_value, options)
                VALUES (1, 'button_colour', '"blue"', '[{"id": 1, "key": "green", "value": "green"}]');
            UPDATE feature_states SET enabled = true;
            INSERT INTO experiments (environment_id, feature_id, name, hypothesis, variants, created_by, status, started_at, runs, salt)
                SELECT 1, id, 'Green button', 'It sells more.', variants_of(initial_value, multivariate_options, NULL), 'bench', 'running',
                       now() - interval '3 hours', tstzmultirange(tstzrange(now() - interval '3 hours', NULL)), 'salt'
                FROM environment_features;
            """
        );

    private static async Task Execute(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<long> Scalar(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        command.CommandTimeout = 0;
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private sealed record Row(long At, long Key, string Name, string? Feature, string? Identifier, string Value);
}
