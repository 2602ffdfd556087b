using Experiments.Api.Platform.Data;
using Npgsql;
using NpgsqlTypes;

namespace Experiments.Api.Ingestion;

/// <summary>Stores events in the database. They are durable when it returns, and each is stored once.</summary>
internal sealed class EventWriter(NpgsqlDataSource source, Partitions partitions) : IEventWriter
{
    private const string Columns =
        "(at, key, batch, environment_id, happened_at, event, feature_name, identifier, value, traits, metadata, has_id)";

    private const string IsHere = "EXISTS (SELECT FROM event_store WHERE store = 'postgresql' AND moving_to IS NULL)";

    private const string Batch = $$"""
        WITH arrival AS MATERIALIZED (
            SELECT date_trunc('milliseconds', clock_timestamp()) AS at,
                ($2::timestamptz[])[1] AS first, ($2::timestamptz[])[cardinality($2::timestamptz[])] AS last
        ), batch AS (
            INSERT INTO event_batches (environment_id, events, from_at, until_at, joins, received_at)
            SELECT $1, cardinality($2::timestamptz[]), LEAST(a.first, a.first + $3, a.at), GREATEST(a.last, LEAST(a.last + $3, a.at)),
                $5::text[] && '{{{EventNames.Identify}},{{EventNames.CreateAlias}}}', a.at
            FROM arrival a
            WHERE {{IsHere}}
            RETURNING id, environment_id, received_at
        )
        """;

    // Of one that was postponed, the first parameter is its id.
    private const string Postponed = $"""
        WITH arrival AS (
            DELETE FROM event_arrivals
            WHERE id = $1 AND is_postponed AND {IsHere}
            RETURNING *
        ), batch AS (
            INSERT INTO event_batches (id, environment_id, events, from_at, until_at, joins, received_at)
            SELECT id, environment_id, events, from_at, until_at, joins, received_at FROM arrival
            RETURNING id, environment_id, received_at
        )
        """;

    private const string InsertPlain = $"""

        INSERT INTO events {Columns}
        SELECT e.at, e.key, batch.id, batch.environment_id, LEAST(e.at + $3, batch.received_at), e.event, e.feature_name, e.identifier,
            e.value, e.traits::jsonb, e.metadata::jsonb, false
        FROM batch, unnest($2::timestamptz[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
            AS e(at, key, event, feature_name, identifier, value, traits, metadata)
        ON CONFLICT DO NOTHING
        """;

    // Events with ids are nearly always new. To insert them without looking for conflicts takes half the time, and fails as a whole where
    // there is one. Both statements insert the ids before the events, each in their order: whoever meets another request with the same
    // ones waits for it, and never in a circle.
    private const string InsertWithNewIds = $"""

        , ids AS (
            INSERT INTO event_ids (id, at) SELECT i.id, i.at FROM batch, unnest($11::uuid[], $12::timestamptz[]) AS i(id, at)
            RETURNING 1
        )
        INSERT INTO events {Columns}
        SELECT e.at, e.key, batch.id, batch.environment_id, LEAST(e.at + $3, batch.received_at), e.event, e.feature_name, e.identifier,
            e.value, e.traits::jsonb, e.metadata::jsonb, e.has_id
        FROM batch, unnest($2::timestamptz[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
            $13::boolean[]) AS e(at, key, event, feature_name, identifier, value, traits, metadata, has_id)
        WHERE (SELECT count(*) FROM ids) > 0
        """;

    // An event whose id is already stored is dropped, whatever the timestamps of the two.
    private const string Given = """

        , given AS (
            SELECT *
            FROM unnest($2::timestamptz[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                $11::uuid[])
                AS e(at, key, event, feature_name, identifier, value, traits, metadata, id)
        ), fresh AS (
            INSERT INTO event_ids (id, at)
            SELECT g.id, g.at FROM batch, given g WHERE g.id IS NOT NULL ORDER BY g.id
            ON CONFLICT DO NOTHING
            RETURNING id
        )
        """;

    private const string InsertGiven = $"""

        INSERT INTO events {Columns}
        SELECT e.at, e.key, batch.id, batch.environment_id, LEAST(e.at + $3, batch.received_at), e.event, e.feature_name, e.identifier,
            e.value, e.traits::jsonb, e.metadata::jsonb, e.id IS NOT NULL
        FROM batch
        CROSS JOIN given e
        LEFT JOIN fresh ON fresh.id = e.id
        WHERE e.id IS NULL OR fresh.id IS NOT NULL
        ORDER BY e.at, e.key
        ON CONFLICT DO NOTHING
        """;

    // What also tells whether there was a batch takes longer, and is for where nothing is added.
    private const string Outcome = "SELECT (SELECT count(*) FROM added)::int, (SELECT count(*) FROM batch)::int";
    private const string AndTellsPlain = $", added AS ({InsertPlain} RETURNING 1) {Outcome}";
    private const string AndTellsGiven = $"{Given}, added AS ({InsertGiven} RETURNING 1) {Outcome}";

    private const string Sql = Batch + InsertPlain;
    private const string SqlWithNewIds = Batch + InsertWithNewIds;
    private const string SqlWithIds = Batch + Given + InsertGiven;
    private const string SqlThatTells = Batch + AndTellsPlain;
    private const string SqlThatTellsWithIds = Batch + AndTellsGiven;
    private const string SqlOfPostponed = Postponed + AndTellsPlain;
    private const string SqlOfPostponedWithIds = Postponed + AndTellsGiven;

    /// <inheritdoc/>
    public async Task<int?> Add(long environmentId, EventBatch batch, CancellationToken ct)
    {
        batch.Sort();
        var (isMade, isNew) = (false, batch.HasIds && batch.Postponed is null);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var added = batch.Postponed is null ? await Insert(environmentId, batch, isNew, ct).OrDetach(ct) : 0;
                // Nothing is added where all are known, and where events are not kept, or not any more.
                return added > 0 ? added : await Tell(environmentId, batch, ct).OrDetach(ct) ?? throw new EventsMovedException();
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.CheckViolation && !isMade)
            {
                isMade = true;
                // Some of the events had no partition yet.
                await partitions.Make(batch.Events[0].At, batch.Events[^1].At, ct);
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UniqueViolation && isNew)
            {
                isNew = false;
            }
            catch (PostgresException exception) when (Failure.IsUndone(exception) && attempt < 3)
            {
                await Task.Delay(Random.Shared.Next(5, 25) * attempt, ct);
            }
        }
    }

    private async Task<int> Insert(long environmentId, EventBatch batch, bool isNew, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var command = new NpgsqlCommand(
            isNew ? SqlWithNewIds
                : batch.HasIds ? SqlWithIds
                : Sql,
            connection
        );
        AddParameters(command, environmentId, batch, isNew);
        return await command.ExecuteNonQueryAsync(CancellationToken.None);
    }

    // Null where no batch is made.
    private async Task<int?> Tell(long environmentId, EventBatch batch, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        var sql = (batch.Postponed is null, batch.HasIds) switch
        {
            (true, true) => SqlThatTellsWithIds,
            (true, false) => SqlThatTells,
            (false, true) => SqlOfPostponedWithIds,
            (false, false) => SqlOfPostponed,
        };
        await using var command = new NpgsqlCommand(sql, connection);
        AddParameters(command, batch.Postponed ?? environmentId, batch, isNew: false);
        await using var outcome = await command.ExecuteReaderAsync(CancellationToken.None);
        await outcome.ReadAsync(CancellationToken.None);
        int? added = outcome.GetInt32(1) > 0 ? outcome.GetInt32(0) : null;
        // It is durable when nothing more comes.
        await outcome.NextResultAsync(CancellationToken.None);
        return added;
    }

    private static void AddParameters(NpgsqlCommand command, long of, EventBatch batch, bool isNew)
    {
        var events = batch.Events;
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = of });
        Column(NpgsqlDbType.TimestampTz, e => e.At);
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = batch.Skew });
        Column(NpgsqlDbType.Bigint, e => e.Key);
        Column(NpgsqlDbType.Text, e => e.Event);
        Column(NpgsqlDbType.Text, e => e.FeatureName);
        Column(NpgsqlDbType.Text, e => e.Identifier);
        Column(NpgsqlDbType.Text, e => e.Value);
        Column(NpgsqlDbType.Text, e => e.Traits);
        Column(NpgsqlDbType.Text, e => e.Metadata);
        if (isNew)
        {
            var ids = events.Where(e => e.Id is not null).Select(e => (Id: e.Id!.Value, e.At)).ToArray();
            Array.Sort(ids, static (one, other) => one.Id.CompareTo(other.Id));
            Add(NpgsqlDbType.Uuid, Array.ConvertAll(ids, id => id.Id));
            Add(NpgsqlDbType.TimestampTz, Array.ConvertAll(ids, id => id.At));
            Column(NpgsqlDbType.Boolean, e => e.Id is not null);
        }
        else if (batch.HasIds)
        {
            Column(NpgsqlDbType.Uuid, e => e.Id);
        }

        void Column<T>(NpgsqlDbType type, Func<ReceivedEvent, T> of)
        {
            var values = new T[events.Count];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = of(events[i]);
            }

            Add(type, values);
        }

        void Add<T>(NpgsqlDbType type, T[] values) =>
            command.Parameters.Add(new NpgsqlParameter<T[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | type });
    }
}
