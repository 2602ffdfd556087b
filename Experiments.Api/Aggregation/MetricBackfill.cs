using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Aggregates the events that arrived before a metric was attached, one page at a time in the order of their timestamps. Regular
/// aggregation continues between pages, and an interruption loses nothing. New events are aggregated as usual; processing an event twice
/// is harmless.
/// </summary>
internal sealed class MetricBackfill(NpgsqlDataSource source, NpgsqlConnection connection, TimeSpan late, UnreadableDefinitions unreadable)
{
    private const string Due = """
        SELECT l.experiment_id
        FROM experiment_metrics l
        JOIN experiments e ON e.id = l.experiment_id
        WHERE NOT l.backfilled AND e.started_at IS NOT NULL AND e.deleted_at IS NULL AND e.source IS NULL AND e.id <> ALL (@skipped)
            AND e.environment_id <> ALL (@held)
        ORDER BY l.id
        LIMIT 1
        """;

    private const string Cursor = """
        SELECT array_agg(id) AS links, bool_or(backfilled_to IS NULL) AS is_new, min(backfilled_to) AS at,
               (array_agg(backfilled_key ORDER BY backfilled_to, backfilled_key))[1] AS key
        FROM experiment_metrics WHERE experiment_id = @experimentId AND NOT backfilled
        """;

    // The number of events scanned per page, whichever experiment they belong to, so that no page takes long.
    private const int Size = 50_000;

    private const string Edge = """
        SELECT at, key FROM events WHERE at BETWEEN @from AND @until AND (at, key) > (@from, @key)
        ORDER BY at, key OFFSET @Size - 1 LIMIT 1
        """;

    private const string Events = $"""
        SELECT {StoredEvent.Columns}
        FROM events
        WHERE environment_id = $4 AND event = ANY ($5) AND at BETWEEN $6 AND $8 AND (at, key) > ($6, $7) AND (at, key) <= ($8, $9)
        """;

    private const string Move = """
        UPDATE experiment_metrics SET backfilled_to = @at, backfilled_key = @key, backfilled = @isDone WHERE id = ANY (@links);
        WITH healed AS (
            DELETE FROM unreadable_definitions WHERE experiment_id = @experimentId AND link_id IS NOT NULL AND @isDone
            RETURNING experiment_id
        )
        -- So that results are computed again, even final ones.
        UPDATE results SET as_of = NULL, epoch = epoch + 1 WHERE experiment_id IN (SELECT experiment_id FROM healed);
        """;

    /// <summary>
    /// Aggregates a page of old events. Returns false if there was nothing to backfill.
    /// </summary>
    /// <param name="skipped">Experiments whose metrics are postponed. An experiment that fails is added.</param>
    /// <param name="held">Environments that are postponed.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<bool> Page(HashSet<long> skipped, long[] held, CancellationToken ct)
    {
        if (await connection.QueryFirstOrDefaultAsync<long?>(Due, new { skipped = skipped.ToArray(), held }) is not { } experimentId)
        {
            return false;
        }

        try
        {
            // An experiment that was reset in the meantime, or has not run at all, has nothing to backfill.
            // Nor has one whose environment another replica aggregates: it is the turn of others.
            if (await Page(experimentId, ct) is not true)
            {
                skipped.Add(experimentId);
            }

            return true;
        }
        catch (Exception)
        {
            skipped.Add(experimentId);
            throw;
        }
    }

    private async Task<bool?> Page(long experimentId, CancellationToken ct)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await AggregationLock.Take(connection, experimentId))
        {
            return null;
        }

        var definitions = new DefinitionReader(source, connection, unreadable);
        var (experiments, highWaterMark) = await definitions.Experiments(experimentId, ct);
        if (experiments is not [var experiment])
        {
            // The experiment was reset in the meantime, or its definition cannot be read.
            await definitions.SaveUnreadable();
            await transaction.CommitAsync(ct);
            return false;
        }

        var links = await definitions.Links(experiments);
        var cursor = await connection.QuerySingleAsync<CursorRow>(Cursor, new { experimentId });
        var fresh = links.Where(link => cursor.Links?.Contains(link.Id) == true).ToList();
        // By timestamp, which may be before or after an event happened.
        var until = highWaterMark + ClockSkew.SlackTime;
        var (edge, isDone) = ((At: until, Key: long.MaxValue), true);
        await definitions.SaveUnreadable();
        if (fresh.Count == 0)
        {
            // The remaining metrics cannot be read.
            await transaction.CommitAsync(ct);
            return false;
        }

        var from = cursor.IsNew ? fresh.Min(link => link.From) - ClockSkew.SlackTime : cursor.At!.Value;
        var key = cursor.IsNew ? long.MinValue : cursor.Key!.Value;
        if (
            (
                await connection.QueryAsync<(DateTime, long)>(
                    Edge,
                    new
                    {
                        from,
                        until,
                        key,
                        Size,
                    }
                )
            ).AsList()
            is [var next]
        )
        {
            (edge, isDone) = (next, false);
        }

        var hasAliases = experiment.UnitKey is null && await new IdentityAliases(connection).Exist([experiment.EnvironmentId]);
        var aggregator = new MetricAggregator(connection, links, isBackfill: true);
        await StoredEvent.Each(
            connection,
            Events,
            StoredEvent.Needs.Of(experiments, hasAliases ? experiment.LastBatch(late) : null, ofExposures: false),
            stored => aggregator.Take(stored, (one, batch) => !one.WasFinal(BatchId.ReceivedAt(batch), late)),
            ct,
            new NpgsqlParameter<long> { TypedValue = experiment.EnvironmentId },
            new NpgsqlParameter<string[]> { TypedValue = [.. fresh.SelectMany(link => link.Events).Distinct()] },
            new NpgsqlParameter<DateTime> { TypedValue = from },
            new NpgsqlParameter<long> { TypedValue = key },
            new NpgsqlParameter<DateTime> { TypedValue = edge.At },
            new NpgsqlParameter<long> { TypedValue = edge.Key }
        );
        await aggregator.Aggregate(new Dictionary<ExposureAggregator.Key, ExposureState>());

        await connection.ExecuteAsync(
            Move,
            new
            {
                at = edge.At,
                key = edge.Key,
                isDone,
                experimentId,
                Links = fresh.Select(link => link.Id).ToArray(),
            }
        );
        await transaction.CommitAsync(ct);
        return true;
    }

    private sealed record CursorRow
    {
        public long[]? Links { get; init; }

        public bool IsNew { get; init; }

        public DateTime? At { get; init; }

        public long? Key { get; init; }
    }
}
