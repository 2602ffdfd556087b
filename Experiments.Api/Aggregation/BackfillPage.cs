using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;

namespace Experiments.Api.Aggregation;

/// <summary>Counts a page of old events for the metrics of an experiment that are new.</summary>
internal sealed class BackfillPage(MetricBackfill.Context context)
{
    private const string IsHere = "SELECT EXISTS (SELECT FROM event_store WHERE store = @Store FOR SHARE)";

    private const string Cursor = """
        SELECT array_agg(id) AS links, bool_or(backfilled_to IS NULL) AS is_new, min(backfilled_to) AS at,
               (array_agg(backfilled_key ORDER BY backfilled_to, backfilled_key))[1] AS key
        FROM experiment_metrics WHERE experiment_id = @experimentId AND NOT backfilled
        """;

    private const string IsHealed =
        "SELECT EXISTS (SELECT FROM unreadable_definitions WHERE experiment_id = @experimentId AND link_id IS NOT NULL)";

    private const string Move = """
        UPDATE experiment_metrics SET backfilled_to = @At, backfilled_key = @Key, backfilled = @isDone WHERE id = ANY (@links);
        WITH healed AS (
            DELETE FROM unreadable_definitions WHERE experiment_id = @experimentId AND link_id IS NOT NULL AND @isDone
            RETURNING experiment_id
        )
        -- So that results are computed again, even final ones.
        UPDATE results SET as_of = NULL, epoch = epoch + 1 WHERE experiment_id IN (SELECT experiment_id FROM healed);
        """;

    /// <summary>
    /// Counts it. Returns null if another replica aggregates the environment, and false if there is nothing to count.
    /// </summary>
    public async Task<bool?> Run(long experimentId, CancellationToken ct)
    {
        var connection = context.Connection;
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (
            !await AggregationLock.Take(connection, experimentId)
            // Whoever keeps events elsewhere would find none of these. Events do not move away before this is done.
            || !await connection.QuerySingleAsync<bool>(IsHere, new { Store = context.Store.Name })
        )
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
        if (context.Unreadable is null)
        {
            definitions.DemandReadable();
        }

        var cursor = await connection.QuerySingleAsync<CursorRow>(Cursor, new { experimentId });
        var fresh = links.Where(link => cursor.Links?.Contains(link.Id) == true).ToList();
        await definitions.SaveUnreadable();
        if (fresh.Count == 0)
        {
            // The remaining metrics cannot be read.
            await transaction.CommitAsync(ct);
            return false;
        }

        var aliases = new IdentityAliases(connection);
        var hasAliases = experiment.UnitKey is null && await aliases.Exist([experiment.EnvironmentId]);
        var sums = new MetricSumsDelta();
        var aggregator = new MetricAggregator(connection, links, sums, isBackfill: true);
        if (hasAliases && cursor.IsNew && await connection.QuerySingleAsync<bool>(IsHealed, new { experimentId }))
        {
            // Who turned out to be somebody else meanwhile has kept its values.
            await aggregator.Move([
                .. (await aliases.All(experiment.EnvironmentId, experiment.LastBatch(context.Late))).Select(alias =>
                    ExposureAggregator.Join.Of(experiment, alias)
                ),
            ]);
        }

        var next = await context.Store.Page(
            connection,
            // By timestamps, which may be before or after an event happened.
            new(
                experiment.EnvironmentId,
                [.. fresh.SelectMany(link => link.Events).Distinct()],
                fresh.Min(link => link.From) - ClockSkew.SlackTime,
                highWaterMark + ClockSkew.SlackTime,
                cursor.IsNew ? null : new(cursor.At!.Value, cursor.Key!.Value),
                context.Store.BatchSize
            ),
            StoredEvent.Needs.Of(experiments, links, hasAliases ? experiment.LastBatch(context.Late) : null, ofExposures: false),
            stored => aggregator.Take(stored, (one, batch) => one.InTime(batch, context.Late)),
            ct
        );
        await aggregator.Aggregate(new Dictionary<ExposureAggregator.Key, ExposureState>());
        await sums.Post(connection);

        await connection.ExecuteAsync(
            Move,
            new
            {
                next?.At,
                next?.Key,
                isDone = next is null,
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
