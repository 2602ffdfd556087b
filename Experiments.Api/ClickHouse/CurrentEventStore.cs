using Dapper;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Where the events are, as the database says. A service that is set to another store does not start, because it would count from events
/// that are not there.
/// </summary>
internal sealed class CurrentEventStore(NpgsqlDataSource source, string wanted, ILogger<CurrentEventStore> logger) : IDatabasePreparation
{
    private const string Claim = """
        UPDATE event_store SET store = @wanted
        WHERE store = 'postgresql' AND moving_to IS NULL AND moved_from IS NULL
            AND NOT EXISTS (SELECT FROM events) AND NOT EXISTS (SELECT FROM event_batches)
        """;

    public async Task Prepare(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(Claim, new { wanted });
        Demand(wanted, await Read(connection));
        if (await connection.QuerySingleAsync<string?>("SELECT moved_from FROM event_store") is { } left)
        {
            logger.OldEventsAreLeft(left, wanted);
        }
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
    public static Task<string> Read(NpgsqlConnection connection) => connection.QuerySingleAsync<string>("SELECT store FROM event_store");
}
