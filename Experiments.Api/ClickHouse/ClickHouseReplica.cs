using ClickHouse.Driver;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// One server of ClickHouse. Its tables are made when it is first needed, so that one that is away stops neither the start nor anything
/// that needs no events.
/// </summary>
internal sealed class ClickHouseReplica(string name, ClickHouseClient client, ClickHouseSchema schema, string database) : IDisposable
{
    // How long it may take to make the tables, and to fetch what other replicas have.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _making = new(1);
    private volatile bool _isMade;

    public string Name => name;

    public ClickHouseClient Client => client;

    /// <summary>Makes its tables. Each statement does nothing where its table exists, so any number may do it at once.</summary>
    public async Task MakeTables(QueryOptions options, CancellationToken ct)
    {
        if (_isMade)
        {
            return;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(Patience);
        await _making.WaitAsync(limit.Token);
        try
        {
            if (!_isMade)
            {
                var outside = new QueryOptions { Database = "default" };
                await client
                    .ExecuteNonQueryAsync($"CREATE DATABASE IF NOT EXISTS `{database}`", null, outside, limit.Token)
                    .WaitAsync(limit.Token);
                foreach (var statement in schema.Statements)
                {
                    await client.ExecuteNonQueryAsync(statement, null, options, limit.Token).WaitAsync(limit.Token);
                }

                await Demand(options, limit.Token);
                _isMade = true;
            }
        }
        finally
        {
            _making.Release();
        }
    }

    /// <summary>Waits until it has everything that any replica had acknowledged before.</summary>
    public async Task CatchUp(QueryOptions options, CancellationToken ct)
    {
        if (!schema.IsReplicated)
        {
            return;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(Patience);
        // The server gives up as well.
        options.CustomSettings!["receive_timeout"] = (int)Patience.TotalSeconds;
        foreach (var table in ClickHouseSchema.Tables)
        {
            await client
                .ExecuteNonQueryAsync($"SYSTEM SYNC REPLICA {table} LIGHTWEIGHT", null, options, limit.Token)
                .WaitAsync(limit.Token);
        }
    }

    // Tables that were made before the cluster had its name hold what the other replicas don't have, and those of another shard, or of
    // another number of them, the events of other identities.
    private async Task Demand(QueryOptions options, CancellationToken ct)
    {
        using var reader = await client
            .ExecuteReaderAsync(
                $"""
                SELECT name, engine_full, comment FROM system.tables
                WHERE database = currentDatabase() AND name IN {Literal.List(ClickHouseSchema.Tables)}
                """,
                null,
                options,
                ct
            )
            .WaitAsync(ct);
        while (await reader.ReadAsync(ct).WaitAsync(ct))
        {
            var (table, engine, comment) = (reader.GetString(0), reader.GetString(1), reader.GetString(2));
            var wrong =
                schema.IsReplicated && !engine.Contains(schema.PathOf(table), StringComparison.Ordinal)
                    ? $"is not replicated as {schema.PathOf(table)}"
                : comment != schema.Shard ? $"is of {(comment.Length > 0 ? comment : "no shard")}, and by the settings of {schema.Shard}"
                : null;
            if (wrong is not null)
            {
                throw new EventStoreUnavailableException(
                    $"ClickHouse: on {name}, the table {table} {wrong}."
                        + " Move the events to PostgreSQL, and back into a database of another name."
                );
            }
        }
    }

    public void Dispose()
    {
        client.Dispose();
        _making.Dispose();
    }
}
