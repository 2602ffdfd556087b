using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Aggregates the oldest batches of some environments in one transaction and removes them from the queue. Only one replica aggregates an
/// environment at a time, so nothing that it has read can change under it.
/// </summary>
internal sealed class AggregationBatch(
    NpgsqlDataSource source,
    NpgsqlConnection connection,
    TimeSpan late,
    UnreadableDefinitions? unreadable = null
)
{
    /// <summary>About how many events are aggregated in one transaction.</summary>
    public const int Size = 20_000;

    private const string Claim =
        "SELECT * FROM claim_environments(@held, @among, @seed, @Size) WHERE set_config('lock_timeout', '100ms', true) IS NOT NULL";

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

    private const string Events = $"""
        SELECT {StoredEvent.Columns}
        FROM events
        WHERE batch BETWEEN $4 AND $5 AND batch + 0 = ANY ($6) AND at BETWEEN $7 AND $8 AND event = ANY ($9)
        """;

    private const string CountNames = """
        WITH found AS MATERIALIZED (
            SELECT environment_id, event, happened_at FROM events
            WHERE batch BETWEEN @first AND @newest AND batch + 0 = ANY (@batches) AND at BETWEEN @from AND @until
        )
        INSERT INTO event_names AS n (environment_id, event, count, first_seen, last_seen)
        SELECT environment_id, event, count(*), min(happened_at), max(happened_at)
        FROM found
        GROUP BY 1, 2
        ON CONFLICT (environment_id, event) DO UPDATE SET
            count = n.count + excluded.count, first_seen = LEAST(n.first_seen, excluded.first_seen),
                last_seen = GREATEST(n.last_seen, excluded.last_seen)
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
                    Size = (long)Size,
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
        var batches = due.Keys.ToArray();
        var (first, newest) = (batches.Min(), batches.Max());
        var (from, until) = (due.Values.Min(batch => batch.FromAt), due.Values.Max(batch => batch.UntilAt));
        var environments = due.Values.Select(batch => batch.EnvironmentId).Distinct().ToArray();
        var aliases = new IdentityAliases(connection);
        var joining = due.Values.Where(batch => batch.Joins).Select(batch => batch.Id).ToArray();
        var joined = joining.Length == 0 ? [] : await aliases.Take(joining, from, until);
        // What is said of identities concerns all experiments that are not final.
        var since = joined.Count == 0 ? from : Earlier(from, BatchId.ReceivedAt(first) - late);
        var through = joined.Count == 0 ? until : Later(until, BatchId.ReceivedAt(newest));
        var (experiments, _) = await definitions.Experiments(environments, since, through, ct);
        var links = await definitions.Links(experiments);
        var names = links
            .SelectMany(link => link.Events)
            .Concat(experiments.Select(experiment => experiment.ExposureEvent))
            .Distinct()
            .ToArray();
        var hasAliases = await aliases.Exist(environments);
        var events = await StoredEvent.Read(
            connection,
            Events,
            StoredEvent.Needs.Of(experiments, hasAliases ? long.MaxValue : null),
            Value(first),
            Value(newest),
            Value(batches),
            Value(from),
            Value(until),
            Value(names)
        );

        bool InTime(ExperimentDefinition experiment, long batch) => !experiment.WasFinal(BatchId.ReceivedAt(batch), late);
        var joins = JoinsOf(joined, experiments, InTime);
        var exposures = new ExposureAggregator(connection, experiments, hasAliases ? aliases : null);
        await exposures.Move(joins);
        var changed = await exposures.Aggregate(events, InTime);
        if (links.Count > 0)
        {
            var aggregator = new MetricAggregator(connection, links);
            await aggregator.Move(joins);
            foreach (var key in changed.Keys)
            {
                aggregator.Recalculate(key);
            }

            await using (Heartbeat.Of(connection))
            {
                foreach (var stored in events)
                {
                    aggregator.Take(stored, InTime);
                }
            }

            await aggregator.Aggregate(changed);
        }

        await connection.ExecuteAsync(
            CountNames,
            new
            {
                batches,
                first,
                newest,
                from,
                until,
            }
        );
        await definitions.SaveUnreadable();
        await connection.ExecuteAsync(Complete, new { batches, environments });
        await transaction.CommitAsync(ct);
        return due.Values.Sum(batch => batch.Events);
    }

    private static List<ExposureAggregator.Join> JoinsOf(
        IReadOnlyList<AliasGraph.Entry> joined,
        IReadOnlyList<ExperimentDefinition> experiments,
        Func<ExperimentDefinition, long, bool> inTime
    )
    {
        var byEnvironment = experiments.Where(experiment => experiment.UnitKey is null).ToLookup(experiment => experiment.EnvironmentId);
        return
        [
            .. from alias in joined
            let keys = (Alias: Identity.Key(alias.Identifier), Known: Identity.Key(alias.KnownAs))
            from experiment in byEnvironment[alias.Environment]
            where inTime(experiment, alias.Batch)
            select new ExposureAggregator.Join(new(experiment.Id, keys.Alias), new(experiment.Id, keys.Known), alias.KnownAs),
        ];
    }

    private static DateTime Later(DateTime one, DateTime other) => one > other ? one : other;

    private static DateTime Earlier(DateTime one, DateTime other) => one < other ? one : other;

    private static NpgsqlParameter<T> Value<T>(T value) => new() { TypedValue = value };

    private sealed record Claimed(long EnvironmentId, long Share, DateTime Until);

    private sealed record QueuedBatch(long Id, long EnvironmentId, int Events, DateTime FromAt, DateTime UntilAt, bool Joins);
}
