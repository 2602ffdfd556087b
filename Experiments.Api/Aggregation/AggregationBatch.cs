using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Aggregates the oldest batches of some environments in one transaction and removes them from the queue. Only one replica aggregates an
/// environment at a time, so nothing that it has read can change under it.
/// </summary>
internal sealed class AggregationBatch(
    IEventStore store,
    NpgsqlDataSource source,
    NpgsqlConnection connection,
    TimeSpan late,
    UnreadableDefinitions? unreadable = null
)
{
    private const string Claim =
        "SELECT * FROM claim_environments(@held, @among, @seed, @Size) WHERE set_config('lock_timeout', '100ms', true) IS NOT NULL"
        // Whoever keeps events elsewhere would find none of these.
        + " AND COALESCE((SELECT store FROM event_store), 'postgresql') = @Store";

    private const string Due = """
        SELECT b.id, b.environment_id, b.events, b.from_at, b.until_at, b.joins
        FROM unnest(@environments, @shares) AS c(environment_id, share)
        CROSS JOIN LATERAL (
            SELECT *, sum(events) OVER (ORDER BY id) - events AS before
            FROM (
                SELECT * FROM event_batches w
                WHERE w.environment_id = c.environment_id AND w.received_at < @until
                ORDER BY w.id LIMIT 1000
            ) oldest
        ) b
        WHERE b.before < c.share
        ORDER BY b.id
        """;

    // The environments with waiting events, except the held ones.
    private const string Waiting = """
        SELECT DISTINCT environment_id FROM event_batches
        WHERE environment_id <> ALL (@held) AND (@among::bigint[] IS NULL OR environment_id = ANY (@among))
        """;

    // This aggregates everything that was on hold, on any replica.
    private const string Complete = """
        DELETE FROM counting_holds WHERE environment_id = ANY (@environments);
        DELETE FROM event_batches WHERE id = ANY (@batches);
        """;

    /// <summary>The environments that have events to aggregate.</summary>
    public async Task<IReadOnlyList<long>> Environments(long[] held, long[]? among = null) =>
        (await connection.QueryAsync<long>(Waiting, new { held, among })).AsList();

    /// <summary>
    /// Aggregates a batch. Returns the number of events read, or null if other replicas aggregate all environments that wait.
    /// </summary>
    /// <param name="held">Environments to leave out.</param>
    /// <param name="among">When given, only these environments.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<int?> Run(long[] held, long[]? among, CancellationToken ct)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var claimed = (
            await connection.QueryAsync<Claimed>(
                Claim,
                new
                {
                    held,
                    among,
                    // In another order each time, so that each environment has its turn.
                    seed = Random.Shared.NextInt64(),
                    Size = (long)store.BatchSize,
                    Store = store.Name,
                }
            )
        ).AsList();
        if (claimed.Count == 0)
        {
            return (await Environments(held, among)).Count == 0 ? 0 : null;
        }

        // What was done before the lock was taken is seen by statements after it.
        var due = (
            await connection.QueryAsync<QueuedBatch>(
                Due,
                new
                {
                    environments = claimed.Select(one => one.EnvironmentId).ToArray(),
                    shares = claimed.Select(one => one.Share).ToArray(),
                    until = claimed[0].Until,
                }
            )
        ).ToDictionary(batch => batch.Id);
        if (due.Count == 0)
        {
            // Another replica has just aggregated them.
            return (await Environments(held, among)).Count == 0 ? 0 : null;
        }

        var definitions = new DefinitionReader(source, connection, unreadable);
        var batches = BatchesOf([.. due.Values]);
        var aliases = new IdentityAliases(connection);
        var joined = due.Values.Where(batch => batch.Joins).ToList() is [_, ..] joining
            ? await aliases.Take(await store.Statements(connection, BatchesOf(joining), ct))
            : [];
        // What is said of identities concerns all experiments that are not final.
        var since = joined.Count == 0 ? batches.From : Instants.Earlier(batches.From, BatchId.ReceivedAt(batches.First) - late);
        var through = joined.Count == 0 ? batches.Until : Instants.Later(batches.Until, BatchId.ReceivedAt(batches.Newest));
        var (experiments, _) = await definitions.Experiments(batches.Environments, since, through, ct);
        var links = await definitions.Links(experiments);
        var hasAliases = await aliases.Exist(batches.Environments);
        await store.Count(new(connection, batches, experiments, links, joined, definitions.Incomplete, hasAliases, late), ct);
        await store.CountNames(connection, batches, ct);
        await definitions.SaveUnreadable();
        await connection.ExecuteAsync(Complete, new { Batches = batches.Ids, batches.Environments });
        await transaction.CommitAsync(ct);
        return due.Values.Sum(batch => batch.Events);
    }

    private static BatchSet BatchesOf(IReadOnlyCollection<QueuedBatch> batches) =>
        new(
            [.. batches.Select(batch => batch.Id)],
            [.. batches.Select(batch => batch.EnvironmentId).Distinct()],
            batches.Min(batch => batch.FromAt),
            batches.Max(batch => batch.UntilAt)
        );

    private sealed record Claimed(long EnvironmentId, long Share, DateTime Until);

    private sealed record QueuedBatch(long Id, long EnvironmentId, int Events, DateTime FromAt, DateTime UntilAt, bool Joins);
}
