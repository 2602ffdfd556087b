using Dapper;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Aggregates the events that arrived before a metric was attached, one page at a time. Regular aggregation continues between pages, and
/// an interruption loses nothing. New events are aggregated as usual; processing an event twice is harmless.
/// </summary>
internal sealed class MetricBackfill(MetricBackfill.Context context)
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

    /// <summary>
    /// Aggregates a page of old events. Returns false if there was nothing to backfill.
    /// </summary>
    /// <param name="skipped">Experiments whose metrics are postponed. An experiment that fails is added.</param>
    /// <param name="held">Environments that are postponed.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<bool> Page(HashSet<long> skipped, long[] held, CancellationToken ct)
    {
        if (
            await context.Connection.QueryFirstOrDefaultAsync<long?>(Due, new { skipped = skipped.ToArray(), held }) is not { } experimentId
        )
        {
            return false;
        }

        try
        {
            // An experiment that was reset in the meantime, or has not run at all, has nothing to backfill.
            // Nor has one whose environment another replica aggregates: it is the turn of others.
            if (await new BackfillPage(context).Run(experimentId, ct) is not true)
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

    /// <summary>What counting old events needs.</summary>
    /// <param name="Store">Where they are.</param>
    /// <param name="Source">For connections of its own.</param>
    /// <param name="Connection">The connection of the worker, on which no transaction is open.</param>
    /// <param name="Late">How long after the end of an experiment late events count.</param>
    /// <param name="Unreadable">Records definitions that are skipped; null to refuse to go on without them.</param>
    internal sealed record Context(
        IEventStore Store,
        NpgsqlDataSource Source,
        NpgsqlConnection Connection,
        TimeSpan Late,
        UnreadableDefinitions? Unreadable
    );
}
