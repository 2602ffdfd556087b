using Dapper;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Events in PostgreSQL: a partition for each month.</summary>
internal sealed class PostgresEventStore(NpgsqlDataSource source, ILogger<PostgresEventStore> logger) : IEventStore
{
    /// <summary>Deletes the events. Deduplication keeps their hashed ids, so that a client that retries does not bring them back.</summary>
    public const string DeleteEvents = "DELETE FROM events WHERE environment_id = @EnvironmentId AND identifier = ANY (@identifiers)";

    // After this many events, the BRIN index is summarised so that it covers the latest batches. Otherwise it would cover them only after
    // the next vacuum, and every search would scan all of them until then.
    private const int Summarise = 10_000;

    private const string OfBatches = "batch BETWEEN @first AND @newest AND batch + 0 = ANY (@batches) AND at BETWEEN @from AND @until";

    private const string Said = $$"""
        SELECT environment_id AS environment, event, identifier,
            unit_of(CASE event WHEN '{{EventNames.Identify}}' THEN '$anon_distinct_id' ELSE 'alias' END, NULL, NULL, metadata) AS alias,
            batch
        FROM events
        WHERE {{OfBatches}} AND event IN ('{{EventNames.Identify}}', '{{EventNames.CreateAlias}}') AND identifier <> ''
        ORDER BY happened_at, key
        """;

    private const string AddNames = $"""
        WITH found AS MATERIALIZED (SELECT environment_id, event, happened_at FROM events WHERE {OfBatches})
        INSERT INTO event_names AS n (environment_id, event, count, first_seen, last_seen)
        SELECT environment_id, event, count(*), min(happened_at), max(happened_at)
        FROM found
        GROUP BY 1, 2
        {EventNameCounts.OnConflict}
        """;

    private const string Shown = $"""
        WITH shown AS MATERIALIZED (
            SELECT DISTINCT s.identifier
            FROM events s
            WHERE s.environment_id = @environmentId AND s.event = '$flag_exposure'
                AND s.happened_at >= now() - @days * interval '1 day'
                AND s.at >= now() - @days * interval '1 day' - {ClockSkew.Slack} AND s.identifier <> ''
              AND (@feature::text IS NULL OR folded(s.feature_name) = folded(@feature))
        )
        SELECT a.event, count(v.at) AS count, max(v.happened_at) AS last_seen,
               count(v.at) FILTER (WHERE s.identifier IS NOT NULL) AS from_exposed,
                   max(v.happened_at) FILTER (WHERE s.identifier IS NOT NULL) AS from_exposed_last_seen
        FROM (SELECT DISTINCT event FROM unnest(@events) AS event) a
        LEFT JOIN events v ON v.environment_id = @environmentId AND v.event = a.event
            AND v.happened_at >= now() - @days * interval '1 day'
            AND v.at >= now() - @days * interval '1 day' - {ClockSkew.Slack}
        LEFT JOIN shown s ON s.identifier = v.identifier
        GROUP BY a.event
        ORDER BY a.event
        """;

    // Whichever environment they belong to, so that no page takes long.
    private const string Edge = """
        SELECT at, key FROM events WHERE at BETWEEN @from AND @Until AND (at, key) > (@from, @key)
        ORDER BY at, key OFFSET @Size - 1 LIMIT 1
        """;

    private const string Paged = $"""
        SELECT {StoredEvent.Columns}
        FROM events
        WHERE environment_id = $5 AND event = ANY ($6) AND at BETWEEN $7 AND $9 AND (at, key) > ($7, $8) AND (at, key) <= ($9, $10)
        """;

    private const string NewestOf = """
        SELECT count(*) OVER () AS total, event AS name, at, feature_name, value, traits::text AS traits, metadata::text AS metadata
        FROM events WHERE environment_id = @environmentId AND identifier = ANY (@identifiers) ORDER BY at DESC, key LIMIT @most
        """;

    private long _unsummarised;

    public string Name => EventOptions.PostgreSql;

    // The more events, the fewer times the row of an identity is written.
    public int BatchSize => 250_000;

    public int Rest => 0;

    public bool HasSlots => true;

    // A batch and its events are written by one statement.
    public Task Recover(NpgsqlConnection connection) => Task.CompletedTask;

    public async Task<IReadOnlyList<AliasGraph.Statement>> Statements(
        NpgsqlConnection connection,
        BatchSet batches,
        CancellationToken ct
    ) => (await connection.QueryAsync<AliasGraph.Statement>(Said, Of(batches))).AsList();

    public Task Count(BatchCount count, CancellationToken ct) => new EventAggregator(count).Run();

    public Task CountNames(NpgsqlConnection connection, BatchSet batches, CancellationToken ct) =>
        connection.ExecuteAsync(AddNames, Of(batches));

    public async Task Tidy(NpgsqlConnection connection, int counted)
    {
        if ((_unsummarised += counted) < Summarise)
        {
            return;
        }

        try
        {
            // A running vacuum does the same work, so do not wait for it.
            await connection.ExecuteAsync(
                """
                SET lock_timeout = '50ms';
                SELECT brin_summarize_new_values(i.inhrelid) FROM pg_inherits i WHERE i.inhparent = 'events_batch'::regclass;
                RESET lock_timeout;
                """
            );
            _unsummarised = 0;
        }
        catch (PostgresException exception) when (Failure.IsLocked(exception))
        {
            _unsummarised = 0;
            logger.VacuumIsRunning();
            await connection.ExecuteAsync("RESET lock_timeout");
        }
    }

    // In the order of their timestamps.
    public async Task<OldEvents.Place?> Page(
        NpgsqlConnection connection,
        OldEvents page,
        StoredEvent.Needs needs,
        Action<StoredEvent> take,
        CancellationToken ct
    )
    {
        var (from, key) = page.After is { } after ? (after.At, after.Key) : (page.From, long.MinValue);
        var edge = await connection.QueryFirstOrDefaultAsync<OldEvents.Place>(
            Edge,
            new
            {
                from,
                page.Until,
                key,
                page.Size,
            }
        );
        await StoredEvent.Each(
            connection,
            Paged,
            needs,
            take,
            ct,
            new NpgsqlParameter<long> { TypedValue = page.EnvironmentId },
            new NpgsqlParameter<string[]> { TypedValue = page.Names },
            new NpgsqlParameter<DateTime> { TypedValue = from },
            new NpgsqlParameter<long> { TypedValue = key },
            new NpgsqlParameter<DateTime> { TypedValue = edge?.At ?? page.Until },
            new NpgsqlParameter<long> { TypedValue = edge?.Key ?? long.MaxValue }
        );
        return edge;
    }

    public async Task<IEventReading> Read(
        NpgsqlDataSource connections,
        NpgsqlConnection locked,
        long environmentId,
        CancellationToken ct
    ) => await PostgresEventReading.Begin(connections, environmentId, ct);

    public async Task<IRecentEvents> Recent(NpgsqlConnection snapshot, RecentEvents which, CancellationToken ct) =>
        await PostgresRecentEvents.Begin(snapshot, which);

    public Task<IReadOnlyList<EventUse>> Uses(long environmentId, string? feature, string[] events, int days, CancellationToken ct) =>
        new Db(source).Rows<EventUse>(
            Shown,
            new
            {
                environmentId,
                feature,
                events,
                days,
            },
            ct
        );

    public async Task<(long Total, IReadOnlyList<IdentityEventRow> Newest)> OfIdentity(
        NpgsqlConnection snapshot,
        long environmentId,
        string[] identifiers,
        int most,
        CancellationToken ct
    )
    {
        var rows = (
            await snapshot.QueryAsync<NewestRow>(
                NewestOf,
                new
                {
                    environmentId,
                    identifiers,
                    most,
                }
            )
        ).AsList();
        return (
            rows.Count == 0 ? 0 : rows[0].Total,
            [.. rows.Select(row => new IdentityEventRow(row.Name, row.At, row.FeatureName, row.Value, row.Traits, row.Metadata))]
        );
    }

    public Task<int> Erase(NpgsqlConnection connection, long environmentId, string[] identifiers, CancellationToken ct) =>
        connection.ExecuteAsync(DeleteEvents, new { EnvironmentId = environmentId, identifiers });

    private static object Of(BatchSet batches) =>
        new
        {
            batches = batches.Ids,
            first = batches.First,
            newest = batches.Newest,
            from = batches.From,
            until = batches.Until,
        };

    private sealed record NewestRow
    {
        public long Total { get; init; }

        public string Name { get; init; } = "";

        public DateTime At { get; init; }

        public string? FeatureName { get; init; }

        public string? Value { get; init; }

        public string? Traits { get; init; }

        public string? Metadata { get; init; }
    }
}
