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
        WHERE event_store.store = 'postgresql' AND NOT EXISTS (SELECT FROM events)
        """;

    public async Task Prepare(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(Claim, new { wanted });
        if (await Read(connection) is var store && store != wanted)
        {
            throw new InvalidOperationException(
                $"Events:Store is {wanted}, and the events are in {store}. Move them with: Experiments.Api move-events --to {wanted}"
            );
        }
    }

    /// <summary>Where they are.</summary>
    public static async Task<string> Read(NpgsqlConnection connection) =>
        await connection.QuerySingleOrDefaultAsync<string>("SELECT store FROM event_store") ?? EventOptions.PostgreSql;

    /// <summary>Says that they have been moved.</summary>
    public static Task Write(NpgsqlConnection connection, string store) =>
        connection.ExecuteAsync(
            "INSERT INTO event_store (store) VALUES (@store) ON CONFLICT (id) DO UPDATE SET store = excluded.store",
            new { store }
        );
}
