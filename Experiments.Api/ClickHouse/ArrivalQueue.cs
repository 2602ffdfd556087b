using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// The way of a batch into the queue of aggregation, which is in PostgreSQL while its events are elsewhere. It is announced before they are
/// written, and queued after that. One whose writer did not live to queue it is queued later, with whatever of it was written; so nothing
/// that was written stays uncounted.
/// </summary>
internal static class ArrivalQueue
{
    // Longer than writing may take, so that what is queued is written.
    private static readonly TimeSpan GivenUp = 2 * ClickHouseShard.WriteLimit;

    private const string AnnounceSql = """
        WITH arrival AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS at)
        INSERT INTO event_arrivals (environment_id, events, from_at, until_at, joins, received_at)
        SELECT g.environment_id, g.events, LEAST(g.first, a.at), GREATEST(g.last, LEAST(g.last_by_us, a.at)), g.joins, a.at
        FROM arrival a, unnest(@Environments, @Events, @First, @Last, @LastByUs, @Joins)
            AS g(environment_id, events, first, last, last_by_us, joins)
        WHERE EXISTS (SELECT FROM event_store WHERE store = 'clickhouse' AND moving_to IS NULL)
        RETURNING id, environment_id, from_at, until_at, received_at
        """;

    // Those that were postponed have been announced.
    private const string PostponedSql = """
        SELECT id, environment_id, from_at, until_at, received_at FROM event_arrivals
        WHERE id = ANY (@ids) AND is_postponed AND EXISTS (SELECT FROM event_store WHERE store = 'clickhouse' AND moving_to IS NULL)
        """;

    // Also if it was queued in the meantime, because it took so long, and counted before it was written.
    private const string QueueSql = """
        WITH announced AS (
            DELETE FROM event_arrivals WHERE id = ANY (@ids)
        )
        INSERT INTO event_batches (id, environment_id, events, from_at, until_at, joins, received_at)
        SELECT * FROM unnest(@ids, @Environments, @Events, @From, @Until, @Joins, @ReceivedAt)
        ON CONFLICT (id) DO NOTHING
        RETURNING id
        """;

    private const string RecoverSql = """
        WITH announced AS (
            DELETE FROM event_arrivals WHERE received_at < clock_timestamp() - @GivenUp::interval AND NOT is_postponed RETURNING *
        )
        INSERT INTO event_batches (id, environment_id, events, from_at, until_at, joins, received_at)
        SELECT id, environment_id, events, from_at, until_at, joins, received_at FROM announced
        ON CONFLICT (id) DO NOTHING
        """;

    /// <summary>Announces a batch for each environment, unless it was postponed. Returns them with the instant of their arrival.</summary>
    public static async Task<IReadOnlyList<Arrival>> Announce(
        NpgsqlDataSource source,
        IReadOnlyCollection<(long EnvironmentId, IReadOnlyList<EventBatch> Batches)> groups,
        CancellationToken ct
    )
    {
        var rows = groups.Select(group => Announced.Of(group.EnvironmentId, group.Batches)).ToList();
        var fresh = rows.Where(row => row.Postponed is null).ToList();
        var db = new Db(source);
        long[] ids = [.. rows.Select(row => row.Postponed).OfType<long>()];
        IReadOnlyList<ArrivedRow> postponed = ids.Length == 0 ? [] : await db.Rows<ArrivedRow>(PostponedSql, new { ids }, ct);
        if (postponed.Count < ids.Length)
        {
            throw new EventsMovedException();
        }

        IReadOnlyList<ArrivedRow> announced =
            fresh.Count == 0
                ? []
                : await db.Rows<ArrivedRow>(
                    AnnounceSql,
                    new
                    {
                        Environments = new Column<long>(fresh.Select(row => row.EnvironmentId)),
                        Events = new Column<int>(fresh.Select(row => row.Events)),
                        First = new Column<DateTime>(fresh.Select(row => row.First)),
                        Last = new Column<DateTime>(fresh.Select(row => row.Last)),
                        LastByUs = new Column<DateTime>(fresh.Select(row => row.LastByUs)),
                        Joins = new Column<bool>(fresh.Select(row => row.Joins)),
                    },
                    ct
                );
        if (announced.Count < fresh.Count)
        {
            throw new EventsMovedException();
        }

        var byEnvironment = announced.ToDictionary(row => row.EnvironmentId);
        var byId = postponed.ToDictionary(row => row.Id);
        return
        [
            .. from row in rows
            let found = row.Postponed is { } id ? byId[id] : byEnvironment[row.EnvironmentId]
            select new Arrival(found.Id, found.FromAt, found.UntilAt, found.ReceivedAt, row),
        ];
    }

    /// <summary>Queues batches that have been written.</summary>
    public static Task Queue(NpgsqlDataSource source, IReadOnlyCollection<Arrival> arrivals, CancellationToken ct) =>
        new Db(source).Rows<ArrivedRow>(
            QueueSql,
            new
            {
                ids = arrivals.Select(arrival => arrival.Id).ToArray(),
                Environments = new Column<long>(arrivals.Select(arrival => arrival.Of.EnvironmentId)),
                Events = new Column<int>(arrivals.Select(arrival => arrival.Of.Events)),
                From = new Column<DateTime>(arrivals.Select(arrival => arrival.FromAt)),
                Until = new Column<DateTime>(arrivals.Select(arrival => arrival.UntilAt)),
                Joins = new Column<bool>(arrivals.Select(arrival => arrival.Of.Joins)),
                ReceivedAt = new Column<DateTime>(arrivals.Select(arrival => arrival.ReceivedAt)),
            },
            ct
        );

    /// <summary>Queues what was announced so long ago that nobody writes it any more.</summary>
    public static Task Recover(NpgsqlConnection connection) => connection.ExecuteAsync(RecoverSql, new { GivenUp });

    /// <summary>A batch that has arrived.</summary>
    internal sealed record Arrival(long Id, DateTime FromAt, DateTime UntilAt, DateTime ReceivedAt, Announced Of);

    /// <summary>What is known of a batch before it arrives.</summary>
    /// <param name="EnvironmentId">The environment.</param>
    /// <param name="Events">The number of events.</param>
    /// <param name="First">The first instant, by either clock.</param>
    /// <param name="Last">The last instant by the clock of the client.</param>
    /// <param name="LastByUs">The last instant by our clock.</param>
    /// <param name="Joins">Whether an event may say that two identities are one person.</param>
    /// <param name="Postponed">Which it is, if it was postponed.</param>
    internal sealed record Announced(
        long EnvironmentId,
        int Events,
        DateTime First,
        DateTime Last,
        DateTime LastByUs,
        bool Joins,
        long? Postponed
    )
    {
        public static Announced Of(long environmentId, IReadOnlyList<EventBatch> batches) =>
            new(
                environmentId,
                batches.Sum(batch => batch.Events.Count),
                batches.Min(batch => Instants.Earlier(batch.Events[0].At, batch.Events[0].At + batch.Skew)),
                batches.Max(batch => batch.Events[^1].At),
                batches.Max(batch => batch.Events[^1].At + batch.Skew),
                batches.Any(batch => batch.Events.Any(one => one.Event is EventNames.Identify or EventNames.CreateAlias)),
                batches[0].Postponed
            );
    }

    private sealed record ArrivedRow
    {
        public long Id { get; init; }

        public long EnvironmentId { get; init; }

        public DateTime FromAt { get; init; }

        public DateTime UntilAt { get; init; }

        public DateTime ReceivedAt { get; init; }
    }
}
