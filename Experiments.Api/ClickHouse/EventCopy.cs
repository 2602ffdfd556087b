using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Copies events from one store to the other, month by month. An event that is there already stays as it is, so it may be done again.
/// </summary>
/// <param name="source">PostgreSQL.</param>
/// <param name="shards">ClickHouse.</param>
/// <param name="firstBatch">The first batch that is copied.</param>
internal sealed class EventCopy(NpgsqlDataSource source, ClickHouseShards shards, long firstBatch = 0)
{
    private const int Chunk = 50_000;

    private const string Here = """
        SELECT at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits::text, metadata::text, has_id
        FROM events WHERE at >= $1 AND at < $1 + interval '1 month' AND batch >= $2
        """;

    private const string Add = """
        INSERT INTO events (at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits, metadata, has_id)
        SELECT at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits::jsonb, metadata::jsonb, has_id
        FROM unnest(@At, @Key, @Batch, @Environment, @HappenedAt, @Event, @Feature, @Identifier, @Value, @Traits, @Metadata, @HasId)
            AS e(at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits, metadata, has_id)
        ON CONFLICT DO NOTHING
        """;

    /// <summary>Copies the events of PostgreSQL to ClickHouse.</summary>
    /// <param name="tell">Is told of each month how many events it has.</param>
    /// <param name="ct">Ends it.</param>
    public async Task ToClickHouse(Action<DateTime, long> tell, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        // As long as it takes to write them there.
        await connection.ExecuteAsync("SET statement_timeout = 0");
        await shards.Execute("INSERT INTO dropped SELECT fromUnixTimestamp64Milli({until:Int64})", await Oldest(connection), ct);
        foreach (var month in await connection.QueryAsync<DateTime>("SELECT begins FROM event_partitions ORDER BY begins"))
        {
            var count = 0L;
            var rows = new List<ClickHouseEvent>(Chunk);
            await using var command = new NpgsqlCommand(Here, connection)
            {
                Parameters =
                {
                    new NpgsqlParameter<DateTime> { TypedValue = month },
                    new NpgsqlParameter<long> { TypedValue = firstBatch },
                },
                CommandTimeout = 0,
            };
            await using var row = await command.ExecuteReaderAsync(ct);
            while (await row.ReadAsync(ct))
            {
                rows.Add(
                    new ClickHouseEvent(
                        row.GetInt64(3),
                        new ReceivedEvent(
                            row.GetDateTime(0),
                            row.GetInt64(1),
                            null,
                            row.GetString(5),
                            Text(row, 6),
                            Text(row, 7),
                            Text(row, 8),
                            Text(row, 9),
                            Text(row, 10)
                        ),
                        row.GetBoolean(11),
                        row.GetDateTime(4),
                        row.GetInt64(2)
                    )
                );
                count++;
                if (rows.Count == Chunk)
                {
                    await shards.Insert("events", rows, ct);
                    rows.Clear();
                }
            }

            if (rows.Count > 0)
            {
                await shards.Insert("events", rows, ct);
            }

            tell(month, count);
        }
    }

    /// <summary>Copies the events of ClickHouse to PostgreSQL.</summary>
    /// <param name="partitions">Makes the months there.</param>
    /// <param name="tell">Is told of each month how many events it has.</param>
    /// <param name="ct">Ends it.</param>
    public async Task ToPostgres(Partitions partitions, Action<DateTime, long> tell, CancellationToken ct)
    {
        var (first, last) = (DateTime.UtcNow, DateTime.UtcNow);
        await shards.Read(
            "SELECT min(toUnixTimestamp64Milli(at)), max(toUnixTimestamp64Milli(at)) FROM events HAVING count() > 0",
            new Dictionary<string, object>(),
            row => (first, last) = (Instants.Earlier(first, Instant(row.GetInt64(0))), Instants.Later(last, Instant(row.GetInt64(1)))),
            ct
        );
        await partitions.Make(first, last, ct);
        var counts = new SortedDictionary<DateTime, long>();
        var chunk = new List<Copied>(Chunk);
        // All at once, since two copies of an event may lie in two months. The reader hands out rows one at a time, so that they are
        // written while others wait to be read.
        await shards.Read(
            $$"""
            SELECT toUnixTimestamp64Milli(at), key, toInt64({{ClickHouseSchema.LastBatch}} - version), environment_id,
                {{EventRows.HappenedAt}}, event, feature_name, identifier, value, traits, metadata, content_at
            FROM events FINAL WHERE toInt64({{ClickHouseSchema.LastBatch}} - version) >= {first:Int64}
            """,
            new Dictionary<string, object> { ["first"] = firstBatch },
            row =>
            {
                var at = Instant(row.GetInt64(0));
                var month = new DateTime(at.Year, at.Month, 1, 0, 0, 0, DateTimeKind.Utc);
                counts[month] = counts.GetValueOrDefault(month) + 1;
                chunk.Add(
                    new(
                        at,
                        row.GetInt64(1),
                        row.GetInt64(2),
                        row.GetInt64(3),
                        EventRows.Instant(row.GetInt64(4)),
                        row.GetString(5),
                        [.. Enumerable.Range(6, 5).Select(index => EventRows.Text(row, index))],
                        row.GetInt64(11) == 0
                    )
                );
                if (chunk.Count == Chunk)
                {
                    Write(chunk).GetAwaiter().GetResult();
                    chunk.Clear();
                }
            },
            ct
        );
        await Write(chunk);
        foreach (var (month, count) in counts)
        {
            tell(month, count);
        }
    }

    // The months before the first that is there have been dropped, or never were.
    private static async Task<Dictionary<string, object>> Oldest(NpgsqlConnection connection) =>
        new()
        {
            ["until"] =
                EventRows.Microseconds(
                    await connection.QuerySingleAsync<DateTime?>("SELECT min(begins) FROM event_partitions") ?? DateTime.UnixEpoch
                ) / 1000,
        };

    private static DateTime Instant(long milliseconds) => DateTime.UnixEpoch.AddMilliseconds(milliseconds);

    private async Task Write(List<Copied> rows)
    {
        await using var connection = await source.OpenConnectionAsync();
        await connection.ExecuteAsync(
            Add,
            new
            {
                At = new Column<DateTime>(rows.Select(row => row.At)),
                Key = new Column<long>(rows.Select(row => row.Key)),
                Batch = new Column<long>(rows.Select(row => row.Batch)),
                Environment = new Column<long>(rows.Select(row => row.Environment)),
                HappenedAt = new Column<DateTime>(rows.Select(row => row.HappenedAt)),
                Event = new Column<string>(rows.Select(row => row.Event)),
                Feature = Texts(0),
                Identifier = Texts(1),
                Value = Texts(2),
                Traits = Texts(3),
                Metadata = Texts(4),
                HasId = new Column<bool>(rows.Select(row => row.HasId)),
            },
            commandTimeout: 0
        );

        Column<string?> Texts(int index) => new(rows.Select(row => row.Texts[index]));
    }

    private static string? Text(NpgsqlDataReader row, int index) => row.IsDBNull(index) ? null : row.GetString(index);

    private sealed record Copied(
        DateTime At,
        long Key,
        long Batch,
        long Environment,
        DateTime HappenedAt,
        string Event,
        string?[] Texts,
        bool HasId
    );
}
