using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Ingestion;

/// <summary>The months that events are kept in.</summary>
internal sealed class Partitions(Database database)
{
    /// <summary>Makes the partitions that hold these instants.</summary>
    public async Task Make(DateTime first, DateTime last, CancellationToken ct)
    {
        await using var connection = await Connect(ct);
        await using var command = new NpgsqlCommand("SELECT make_event_partitions($1, $2)", connection)
        {
            Parameters =
            {
                new() { Value = first },
                new() { Value = last },
            },
        };
        await command.ExecuteNonQueryAsync(ct);
    }

    /// <summary>
    /// Drops the partitions older than <paramref name="before"/> that no experiment needs any more, with the ids of their events, and names
    /// them.
    /// </summary>
    public async Task<IReadOnlyList<string>> Drop(DateTime before, TimeSpan finalAfter, CancellationToken ct)
    {
        await using var connection = await Connect(ct);
        var dropped = new List<string>();
        await using (
            var command = new NpgsqlCommand("SELECT drop_events($1, $2)", connection)
            {
                Parameters =
                {
                    new() { Value = before },
                    new() { Value = finalAfter },
                },
            }
        )
        await using (var reader = await command.ExecuteReaderAsync(ct))
        {
            while (await reader.ReadAsync(ct))
            {
                dropped.Add(reader.GetString(0));
            }
        }

        await using var forget = new NpgsqlCommand(
            "DELETE FROM event_ids WHERE at < (SELECT min(begins) FROM event_partitions)",
            connection
        );
        await forget.ExecuteNonQueryAsync(ct);
        return dropped;
    }

    // Without the deadline of a request. Who waits here for those that write events must not keep others waiting for long.
    private async Task<NpgsqlConnection> Connect(CancellationToken ct)
    {
        var settings = DatabaseSetup.Settings(database.ConnectionString, null, DatabaseSetup.Idle, "-c lock_timeout=2s");
        (settings.ApplicationName, settings.Pooling, settings.CommandTimeout) = ("experiments-partitions", false, 0);
        var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync(ct);
        return connection;
    }
}
