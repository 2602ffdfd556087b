using System.Numerics;
using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Aggregates the oldest batches of some environments in one transaction, and removes them from the queue, or notes which slots of them
/// have been aggregated. Only one transaction at a time aggregates an environment, or a slot of it, so nothing that it has read can change
/// under it.
/// </summary>
/// <param name="store">Where the events are.</param>
/// <param name="source">For connections of its own.</param>
/// <param name="connection">The connection of the transaction.</param>
/// <param name="late">How long after the end of an experiment late events count.</param>
/// <param name="unreadable">Records definitions that are skipped; null to refuse to go on without them.</param>
/// <param name="replicas">How many share the work, for tests; null for as many as there are.</param>
/// <param name="size">About how many events it counts, for tests; null for as many as the store counts at once.</param>
internal sealed class AggregationBatch(
    IEventStore store,
    NpgsqlDataSource source,
    NpgsqlConnection connection,
    TimeSpan late,
    UnreadableDefinitions? unreadable = null,
    int? replicas = null,
    int? size = null
)
{
    // What took too long may not do so in smaller batches.
    private const int Smaller = 8;

    private const string Claim =
        "SELECT * FROM claim_environments(@held, @among, @seed, @Size, @Replicas)"
        + " WHERE set_config('lock_timeout', '100ms', true) IS NOT NULL"
        // Whoever keeps events elsewhere would find none of these.
        + " AND EXISTS (SELECT FROM event_store WHERE store = @Store)";

    // The oldest batches, and which slots of them are to be counted. What has been begun in slots is finished before anything else is
    // counted whole. Without slots, what is due is only what batches say of identities. A batch got its id at about the time at which it
    // was received, so the queue is read no further than a minute from the oldest.
    private const string Due = """
        SELECT b.id, b.environment_id, b.events, b.from_at, b.until_at, b.joins, b.slots
        FROM unnest(@environments, @shares, @slots) AS c(environment_id, share, slots)
        CROSS JOIN LATERAL (
            SELECT c.slots = @All AND EXISTS (
                SELECT FROM event_batches w WHERE w.environment_id = c.environment_id AND w.counted_slots <> 0) AS finishes,
                (SELECT w.id FROM event_batches w WHERE w.environment_id = c.environment_id ORDER BY w.id LIMIT 1) AS oldest
        ) h
        CROSS JOIN LATERAL (
            SELECT *, sum(events * CASE slots WHEN 0 THEN 16 ELSE bit_count(slots::bit(16)) END / 16) OVER (
                ORDER BY id ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW) AS before
            FROM (
                SELECT w.id, w.environment_id, w.events, w.from_at, w.until_at, w.joins, c.slots & ~w.counted_slots AS slots
                FROM (
                    (SELECT * FROM event_batches
                    WHERE h.finishes AND environment_id = c.environment_id AND counted_slots <> 0
                    ORDER BY id LIMIT 5000)
                    UNION ALL
                    (SELECT * FROM event_batches
                    WHERE NOT h.finishes AND environment_id = c.environment_id AND (c.slots = 0 OR received_at < @until)
                        AND id < CASE WHEN c.slots = 0 THEN 9223372036854775807 ELSE h.oldest + (60000::bigint << 20) END
                    ORDER BY id LIMIT 5000)
                ) w
            ) oldest
            WHERE CASE c.slots WHEN @All THEN true WHEN 0 THEN joins ELSE slots <> 0 AND NOT joins END
        ) b
        WHERE COALESCE(b.before, 0) < c.share
        ORDER BY b.id
        """;

    private const string IsWaiting = """
        SELECT EXISTS (
            SELECT FROM event_batches
            WHERE environment_id <> ALL (@held) AND (@among::bigint[] IS NULL OR environment_id = ANY (@among)))
        """;

    // The environments with waiting events, except the held ones.
    private const string Waiting = "SELECT DISTINCT environment_id FROM event_batches WHERE environment_id <> ALL (@held)";

    private const string Begun = """
        SELECT DISTINCT b.environment_id FROM experiments e JOIN event_batches b USING (environment_id)
        WHERE e.id = @experimentId AND b.counted_slots <> 0
        """;

    // What was on hold, on any replica, has been aggregated where nothing of it was left out.
    private const string Complete = """
        DELETE FROM counting_holds WHERE environment_id = ANY (@Whole);
        WITH done AS (
            SELECT * FROM unnest(@Ids, @Slots) AS d(id, slots)
        ), begun AS (
            UPDATE event_batches b SET counted_slots = b.counted_slots | d.slots, joins = false FROM done d
            WHERE b.id = d.id AND b.counted_slots | d.slots <> @All
        )
        DELETE FROM event_batches b USING done d WHERE b.id = d.id AND b.counted_slots | d.slots = @All;
        """;

    /// <summary>The environments that have events to aggregate.</summary>
    public async Task<IReadOnlyList<long>> Environments(long[] held) => (await connection.QueryAsync<long>(Waiting, new { held })).AsList();

    /// <summary>
    /// Aggregates a batch. Returns the number of events read, or null if other replicas aggregate all environments that wait.
    /// </summary>
    /// <param name="held">Environments to leave out.</param>
    /// <param name="among">When given, only these environments, as a whole; of one, less than otherwise, since it has failed.</param>
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
                    Size = (long)(size ?? store.BatchSize) / (among is [_] ? Smaller : 1),
                    Store = store.Name,
                    Replicas = store.HasSlots && among is null ? replicas : 1,
                }
            )
        ).AsList();
        if (claimed.Count == 0 || await Count(claimed, ct) is not { } taken)
        {
            // Another replica aggregates them, or just has.
            return await connection.QuerySingleAsync<bool>(IsWaiting, new { held, among }) ? null : 0;
        }

        await transaction.CommitAsync(ct);
        return taken;
    }

    /// <summary>Whether some slots of a batch have been counted in the environment of an experiment, and others not.</summary>
    public static async Task<bool> HasBegun(NpgsqlConnection connection, long experimentId) =>
        await connection.QueryFirstOrDefaultAsync<long?>(Begun, new { experimentId }) is not null;

    /// <summary>
    /// Finishes some of what has been begun in the environment of an experiment, by a transaction that has its aggregation lock. Returns
    /// false if there is nothing of it.
    /// </summary>
    public async Task<bool> Finish(long experimentId, CancellationToken ct) =>
        await connection.QueryFirstOrDefaultAsync<long?>(Begun, new { experimentId }) is { } environmentId
        && await Count([new(environmentId, size ?? store.BatchSize, DateTime.UnixEpoch, Slot.All)], ct) is not null;

    // Null if there is nothing to count.
    private async Task<int?> Count(IReadOnlyCollection<Claimed> claimed, CancellationToken ct)
    {
        // What was done before the lock was taken is seen by statements after it.
        var due = (
            await connection.QueryAsync<QueuedBatch>(
                Due,
                new
                {
                    environments = claimed.Select(one => one.EnvironmentId).ToArray(),
                    shares = claimed.Select(one => one.Share).ToArray(),
                    slots = claimed.Select(one => one.Slots).ToArray(),
                    until = claimed.First().Until,
                    Slot.All,
                }
            )
        ).AsList();
        if (due.Count == 0)
        {
            return null;
        }

        var definitions = new DefinitionReader(source, connection, unreadable);
        var batches = BatchesOf(due);
        var aliases = new IdentityAliases(connection);
        var joined = due.Where(batch => batch.Joins).ToList() is [_, ..] joining
            ? await aliases.Take(await store.Statements(connection, BatchesOf(joining), ct))
            : [];
        // What is said of identities concerns all experiments that are not final.
        var since = joined.Count == 0 ? batches.From : Instants.Earlier(batches.From, BatchId.ReceivedAt(batches.First) - late);
        var through = joined.Count == 0 ? batches.Until : Instants.Later(batches.Until, BatchId.ReceivedAt(batches.Newest));
        var (experiments, _) = await definitions.Experiments(batches.Environments, since, through, ct);
        var links = await definitions.Links(experiments);
        if (unreadable is null)
        {
            definitions.DemandReadable();
        }

        var hasAliases = await aliases.Exist(batches.Environments);
        var count = new BatchCount(connection, batches, experiments, links, joined, definitions.Incomplete, hasAliases, late);
        await store.Count(count, ct);
        if (batches.With(Slot.First) is [_, ..] named)
        {
            await store.CountNames(connection, batches with { Ids = named }, ct);
        }

        if (claimed.Where(one => one.Slots is not (Slot.All or 0)).Select(one => one.EnvironmentId).ToArray() is [_, ..] shared)
        {
            await AggregationLock.Post(connection, shared);
        }

        await count.Counts.Post(connection);
        await count.Sums.Post(connection);
        await definitions.SaveUnreadable();
        await connection.ExecuteAsync(
            Complete,
            new
            {
                batches.Ids,
                batches.Slots,
                Whole = claimed.Where(one => one.Slots == Slot.All).Select(one => one.EnvironmentId).ToArray(),
                Slot.All,
            }
        );
        return Math.Max(1, due.Sum(batch => batch.Events * BitOperations.PopCount((uint)batch.Slots) / Slot.Count));
    }

    private static BatchSet BatchesOf(IReadOnlyCollection<QueuedBatch> batches) =>
        new(
            [.. batches.Select(batch => batch.Id)],
            [.. batches.Select(batch => batch.Slots)],
            [.. batches.Select(batch => batch.EnvironmentId).Distinct()],
            batches.Min(batch => batch.FromAt),
            batches.Max(batch => batch.UntilAt)
        );

    private sealed record Claimed(long EnvironmentId, long Share, DateTime Until, int Slots);

    private sealed record QueuedBatch(long Id, long EnvironmentId, int Events, DateTime FromAt, DateTime UntilAt, bool Joins, int Slots);
}
