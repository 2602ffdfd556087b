using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Counts a page of old events for the metrics of an experiment that are new, in the order of their timestamps.</summary>
internal sealed class BackfillPage(MetricBackfill.Context context)
{
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
        WHERE environment_id = $5 AND event = ANY ($6) AND at BETWEEN $7 AND $9 AND (at, key) > ($7, $8) AND (at, key) <= ($9, $10)
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

    /// <inheritdoc cref="IEventStore.Backfill"/>
    public async Task<bool?> Run(long experimentId, CancellationToken ct)
    {
        var connection = context.Connection;
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await AggregationLock.Take(connection, experimentId))
        {
            return null;
        }

        var definitions = new DefinitionReader(context.Source, connection, context.Unreadable);
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
        var sums = new MetricSumsDelta();
        var aggregator = new MetricAggregator(connection, links, sums, isBackfill: true);
        await StoredEvent.Each(
            connection,
            Events,
            StoredEvent.Needs.Of(experiments, links, hasAliases ? experiment.LastBatch(context.Late) : null, ofExposures: false),
            stored => aggregator.Take(stored, (one, batch) => one.InTime(batch, context.Late)),
            ct,
            new NpgsqlParameter<long> { TypedValue = experiment.EnvironmentId },
            new NpgsqlParameter<string[]> { TypedValue = [.. fresh.SelectMany(link => link.Events).Distinct()] },
            new NpgsqlParameter<DateTime> { TypedValue = from },
            new NpgsqlParameter<long> { TypedValue = key },
            new NpgsqlParameter<DateTime> { TypedValue = edge.At },
            new NpgsqlParameter<long> { TypedValue = edge.Key }
        );
        await aggregator.Aggregate(new Dictionary<ExposureAggregator.Key, ExposureState>());
        await sums.Post(connection);

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
