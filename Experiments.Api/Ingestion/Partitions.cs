using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Ingestion;

/// <summary>The monthly partitions of the events.</summary>
internal sealed class Partitions(DatabaseServer database) : IEventRetention
{
    /// <summary>How long a statement may run: all ids of a month are deleted by one.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromHours(1);

    /// <summary>Creates the partitions that cover these instants.</summary>
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
    /// Drops the partitions older than <paramref name="before"/> that no experiment needs any more, together with the ids of their
    /// events. Returns their names.
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

    // Without the request deadline. While this waits for requests that write events, it must not block others for long.
    private async Task<NpgsqlConnection> Connect(CancellationToken ct)
    {
        var settings = DatabaseSetup.Settings(database.ConnectionString, Limit, DatabaseSetup.Idle, "-c lock_timeout=2s");
        (settings.ApplicationName, settings.Pooling, settings.CommandTimeout) = ("experiments-partitions", false, 0);
        var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync(ct);
        return connection;
    }
}
