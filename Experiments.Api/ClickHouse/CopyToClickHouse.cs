using Dapper;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Copies the events of PostgreSQL to ClickHouse, month by month. An event that is there already stays as it is, so it may be done again.
/// </summary>
/// <param name="source">PostgreSQL.</param>
/// <param name="shards">ClickHouse.</param>
/// <param name="firstBatch">The first batch that is copied.</param>
internal sealed class CopyToClickHouse(NpgsqlDataSource source, ClickHouseShards shards, long firstBatch = 0)
{
    private const int Chunk = 50_000;

    private const string Here = """
        SELECT at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits::text, metadata::text, has_id
        FROM events WHERE at >= $1 AND at < $1 + interval '1 month' AND batch >= $2
        """;

    /// <summary>Copies them.</summary>
    /// <param name="tell">Is told of each month how many events it has.</param>
    /// <param name="ct">Ends it.</param>
    public async Task Run(Action<DateTime, long> tell, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        // As long as it takes to write them there.
        await connection.ExecuteAsync("SET statement_timeout = 0");
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

    private static string? Text(NpgsqlDataReader row, int index) => row.IsDBNull(index) ? null : row.GetString(index);
}
