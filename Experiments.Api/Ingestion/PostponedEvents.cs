using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Events that came while events were moving. They have a batch already, which tells when they came, and wait in the database until their
/// store is the one where events are.
/// </summary>
/// <param name="source">The database.</param>
/// <param name="store">The store that this service is set to.</param>
internal sealed class PostponedEvents(NpgsqlDataSource source, string store)
{
    /// <summary>
    /// The key of the advisory lock of whoever takes them in. Erasing an identity and moving events have it as well, so that nobody does.
    /// </summary>
    public const string Lock = "hashtext('postponed events')";

    // So many that they are stored together, and not more than fit into the memory.
    private const int Most = 50;

    private readonly Db _db = new(source);

    private const string Keep = """
        WITH arrival AS MATERIALIZED (
            SELECT next_event_batch() AS id, date_trunc('milliseconds', clock_timestamp()) AS at, min(e.at) AS first, max(e.at) AS last,
                count(*) AS events, bool_or(e.event IN ('$identify', '$create_alias')) AS joins
            FROM unnest(@At, @Events) AS e(at, event)
        ), batch AS (
            INSERT INTO event_arrivals (id, environment_id, events, from_at, until_at, joins, received_at, is_postponed)
            SELECT a.id, @environmentId, a.events, LEAST(a.first, a.first + @Skew, a.at), GREATEST(a.last, LEAST(a.last + @Skew, a.at)),
                a.joins, a.at, true
            FROM arrival a
            WHERE NOT EXISTS (SELECT FROM event_store WHERE store = @store AND moving_to IS NULL)
            RETURNING id AS batch, environment_id
        ), kept AS (
            INSERT INTO postponed_events (batch, environment_id, skew, at, key, id, event, feature_name, identifier, value, traits,
                metadata)
            SELECT b.batch, b.environment_id, @Skew, e.*
            FROM batch b, unnest(@At, @Keys, @Ids, @Events, @Features, @Identifiers, @Values, @Traits, @Metadata)
                AS e(at, key, id, event, feature_name, identifier, value, traits, metadata)
        )
        SELECT batch, environment_id FROM batch
        """;

    private const string NextSql = """
        SELECT a.id AS batch, a.environment_id FROM event_arrivals a
        WHERE a.is_postponed AND a.id > @after AND EXISTS (SELECT FROM event_store WHERE store = @store AND moving_to IS NULL)
        ORDER BY a.id LIMIT @most
        """;

    // All of whom have been erased.
    private const string Forget = """
        DELETE FROM event_arrivals a
        WHERE a.id = @Batch AND a.is_postponed AND NOT EXISTS (SELECT FROM postponed_events e WHERE e.batch = a.id)
        RETURNING a.id AS batch, a.environment_id
        """;

    private const string OfBatch = """
        SELECT at, key, skew, id, event, feature_name, identifier, value, traits, metadata
        FROM postponed_events WHERE batch = @Batch ORDER BY at, key
        """;

    /// <summary>Keeps a batch. Returns false if the store of this service is the one where events are.</summary>
    public async Task<bool> Add(long environmentId, EventBatch batch, CancellationToken ct) =>
        batch.Events.Count == 0
        || await _db.Change<Kept>(
            Keep,
            new
            {
                environmentId,
                store,
                batch.Skew,
                At = new Column<DateTime>(batch.Events.Select(one => one.At)),
                Keys = new Column<long>(batch.Events.Select(one => one.Key)),
                Ids = new Column<Guid?>(batch.Events.Select(one => one.Id)),
                Events = new Column<string>(batch.Events.Select(one => one.Event)),
                Features = new Column<string?>(batch.Events.Select(one => one.FeatureName)),
                Identifiers = new Column<string?>(batch.Events.Select(one => one.Identifier)),
                Values = new Column<string?>(batch.Events.Select(one => one.Value)),
                Traits = new Column<string?>(batch.Events.Select(one => one.Traits)),
                Metadata = new Column<string?>(batch.Events.Select(one => one.Metadata)),
            },
            ct
        )
            is not null;

    /// <summary>Whether there is any that can be taken in.</summary>
    public async Task<bool> Any(CancellationToken ct) => await Next(0, 1, ct) is [_, ..];

    /// <summary>
    /// The oldest batches after this one, with their environments, if the store of this service is the one where events are. For one who
    /// has the lock.
    /// </summary>
    public async Task<IReadOnlyList<(long EnvironmentId, EventBatch Batch)>> Oldest(long after, CancellationToken ct)
    {
        var found = new List<(long, EventBatch)>();
        foreach (var next in await Next(after, Most, ct))
        {
            var rows = await _db.Rows<Row>(OfBatch, new { next.Batch }, ct);
            if (rows.Count == 0)
            {
                await _db.Rows<Kept>(Forget, new { next.Batch }, ct);
                continue;
            }

            var batch = new EventBatch { Postponed = next.Batch, Skew = rows[0].Skew };
            foreach (var row in rows)
            {
                batch.Accept(
                    new(row.At, row.Key, row.Id, row.Event!, row.FeatureName, row.Identifier, row.Value, row.Traits, row.Metadata)
                );
            }

            found.Add((next.EnvironmentId, batch));
        }

        return found;
    }

    private Task<IReadOnlyList<Kept>> Next(long after, int most, CancellationToken ct) =>
        _db.Rows<Kept>(
            NextSql,
            new
            {
                after,
                store,
                most,
            },
            ct
        );

    private sealed record Kept
    {
        public long Batch { get; init; }

        public long EnvironmentId { get; init; }
    }

    private sealed record Row
    {
        public DateTime At { get; init; }

        public long Key { get; init; }

        public TimeSpan Skew { get; init; }

        public Guid? Id { get; init; }

        public string? Event { get; init; }

        public string? FeatureName { get; init; }

        public string? Identifier { get; init; }

        public string? Value { get; init; }

        public string? Traits { get; init; }

        public string? Metadata { get; init; }
    }
}
