using ClickHouse.Driver.ADO.Readers;
using Dapper;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Copies the events of ClickHouse to PostgreSQL, some tens of thousands at a time. An event that is there already stays as it is, so it
/// may be done again.
/// </summary>
/// <param name="source">PostgreSQL.</param>
/// <param name="shards">ClickHouse.</param>
/// <param name="partitions">Makes the months there.</param>
/// <param name="firstBatch">The first batch that is copied.</param>
/// <param name="pageSize">About how many are read together; then they are written.</param>
internal sealed class CopyToPostgres(
    NpgsqlDataSource source,
    ClickHouseShards shards,
    Partitions partitions,
    long firstBatch = 0,
    int pageSize = 50_000
)
{
    private const string Add = """
        INSERT INTO events (at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits, metadata, has_id)
        SELECT at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits::jsonb, metadata::jsonb, has_id
        FROM unnest(@At, @Key, @Batch, @Environment, @HappenedAt, @Event, @Feature, @Identifier, @Value, @Traits, @Metadata, @HasId)
            AS e(at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits, metadata, has_id)
        ON CONFLICT DO NOTHING
        """;

    // In ClickHouse, events of different names or identities may have the same id, and here an id is that of one. The others get keys of
    // their own, which are the same whenever they are copied.
    private const string AddNamesakes = """
        INSERT INTO events (at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits, metadata, has_id)
        SELECT e.at, e.other_key, e.batch, e.environment_id, e.happened_at, e.event, e.feature_name, e.identifier, e.value,
            e.traits::jsonb, e.metadata::jsonb, true
        FROM unnest(@At, @Key, @OtherKey, @Batch, @Environment, @HappenedAt, @Event, @Feature, @Identifier, @Value, @Traits, @Metadata)
            AS e(at, key, other_key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits, metadata)
        -- Each by the primary key, however many events there are.
        CROSS JOIN LATERAL (SELECT * FROM events o WHERE o.at = e.at AND o.key = e.key OFFSET 0) o
        WHERE (o.event, o.identifier) IS DISTINCT FROM (e.event, e.identifier)
        ON CONFLICT DO NOTHING
        """;

    private static readonly string Batch = $"toInt64({ClickHouseSchema.LastBatch} - version)";

    /// <summary>Copies them.</summary>
    /// <param name="tell">Is told of each month how many events it has.</param>
    /// <param name="ct">Ends it.</param>
    public async Task Run(Action<DateTime, long> tell, CancellationToken ct)
    {
        var counts = new SortedDictionary<DateTime, long>();
        foreach (var page in await EventPages.Of(shards, pageSize, ct))
        {
            // Of any month, since two copies of an event may lie in two.
            var rows = new List<Copied>(pageSize);
            await shards.Read(
                $$"""
                SELECT toUnixTimestamp64Milli(at), key, {{Batch}}, environment_id, {{EventRows.HappenedAt}}, event, feature_name,
                    identifier, value, traits, metadata, content_at
                FROM events FINAL PREWHERE {{page}} WHERE {{Batch}} >= {first:Int64}
                """,
                new Dictionary<string, object> { ["first"] = firstBatch },
                row => rows.Add(Copied.Of(row)),
                ct
            );
            foreach (var chunk in rows.Chunk(pageSize))
            {
                // They come while they are copied, also those of another month.
                await partitions.Make(chunk.Min(row => row.At), chunk.Max(row => row.At), ct);
                await Write(Add, chunk, ct);
                await Write(AddNamesakes, [.. chunk.Where(row => row.HasId)], ct);
            }

            foreach (var month in rows.CountBy(row => new DateTime(row.At.Year, row.At.Month, 1, 0, 0, 0, DateTimeKind.Utc)))
            {
                counts[month.Key] = counts.GetValueOrDefault(month.Key) + month.Value;
            }
        }

        foreach (var (month, count) in counts)
        {
            tell(month, count);
        }
    }

    private static DateTime Instant(long milliseconds) => DateTime.UnixEpoch.AddMilliseconds(milliseconds);

    private async Task Write(string sql, Copied[] rows, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(
            sql,
            new
            {
                At = new Column<DateTime>(rows.Select(row => row.At)),
                Key = new Column<long>(rows.Select(row => row.Key)),
                OtherKey = new Column<long>(rows.Select(row => DeduplicationKeyHasher.OfNamesake(row.Key, row.Event, row.Texts[1]))),
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

    private sealed record Copied(
        DateTime At,
        long Key,
        long Batch,
        long Environment,
        DateTime HappenedAt,
        string Event,
        string?[] Texts,
        bool HasId
    )
    {
        public static Copied Of(ClickHouseDataReader row) =>
            new(
                Instant(row.GetInt64(0)),
                row.GetInt64(1),
                row.GetInt64(2),
                row.GetInt64(3),
                EventRows.Instant(row.GetInt64(4)),
                row.GetString(5),
                [.. Enumerable.Range(6, 5).Select(index => EventRows.Text(row, index))],
                row.GetInt64(11) == 0
            );
    }
}
