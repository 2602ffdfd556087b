using Dapper;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Where the events are, as the database says. A service that is set to another store does not start, because it would count from events
/// that are not there.
/// </summary>
internal sealed class CurrentEventStore(NpgsqlDataSource source, string wanted) : IDatabasePreparation
{
    private const string Claim = """
        INSERT INTO event_store (store) VALUES (@wanted)
        ON CONFLICT (id) DO UPDATE SET store = excluded.store
        WHERE event_store.store = 'postgresql' AND event_store.moving_to IS NULL
            AND NOT EXISTS (SELECT FROM events) AND NOT EXISTS (SELECT FROM event_batches)
        """;

    public async Task Prepare(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(Claim, new { wanted });
        Demand(wanted, await Read(connection));
    }

    /// <summary>Refuses a store that is not the one where the events are.</summary>
    /// <exception cref="InvalidOperationException">They are in another one.</exception>
    public static void Demand(string wanted, string store)
    {
        if (store != wanted)
        {
            throw new InvalidOperationException(
                $"Events:Store is {wanted}, and the events are in {store}. Move them with: Experiments.Api move-events --to {wanted}"
            );
        }
    }

    /// <summary>Where they are.</summary>
    public static async Task<string> Read(NpgsqlConnection connection) =>
        await connection.QuerySingleOrDefaultAsync<string>("SELECT store FROM event_store") ?? EventOptions.PostgreSql;
}
