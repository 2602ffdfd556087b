using Npgsql;

namespace Experiments.Bench;

/// <summary>
/// While it lasts, another holds the locks of all environments, and the one lock that former releases have, and events are stored and not
/// counted.
/// </summary>
internal sealed class AggregationPause : IAsyncDisposable
{
    private readonly NpgsqlConnection _connection;

    private AggregationPause(NpgsqlConnection connection) => _connection = connection;

    public static async Task<AggregationPause> Begin(NpgsqlDataSource source)
    {
        var connection = await source.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(
            "SELECT pg_advisory_lock(hashtext('folding')), pg_advisory_lock(hashtext('aggregation'), hashint8(id)) FROM environments",
            connection
        );
        await command.ExecuteNonQueryAsync();
        return new(connection);
    }

    public async ValueTask DisposeAsync()
    {
        await using (var command = new NpgsqlCommand("SELECT pg_advisory_unlock_all()", _connection))
        {
            await command.ExecuteNonQueryAsync();
        }

        await _connection.DisposeAsync();
    }
}
