using Dapper;
using Experiments.Api.Domain;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Recomputes all derived data of an experiment from the raw events and corrects what differs: exposures, unit metrics and sums. Memory
/// limits how many identities are processed in one pass. If they do not fit, the events are read several times.
/// </summary>
internal sealed class RebuildFromEvents(IEventStore store, NpgsqlDataSource source, TimeSpan late)
{
    /// <summary>Rebuilds the experiment. Returns null if a replica is aggregating at the moment.</summary>
    /// <exception cref="InvalidOperationException">There is no such experiment, or some of its events are gone.</exception>
    public Task<RebuildReport?> Run(long experimentId, CancellationToken ct) => Run(experimentId, corrects: true, ct);

    /// <summary>Says what would be corrected, and corrects nothing.</summary>
    public Task<RebuildReport?> Compare(long experimentId, CancellationToken ct) => Run(experimentId, corrects: false, ct);

    private async Task<RebuildReport?> Run(long experimentId, bool corrects, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await FinishBegun(connection, experimentId, ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await AggregationLock.Take(connection, experimentId) || await AggregationBatch.HasBegun(connection, experimentId))
        {
            return null;
        }

        await AggregationLock.Extend(connection);

        var definitions = new DefinitionReader(source, connection);
        var (experiments, highWaterMark) = await definitions.Experiments(experimentId, ct);
        var links = await definitions.Links(experiments);
        definitions.DemandReadable();
        if (experiments is not [var experiment])
        {
            return RebuildReport.Nothing;
        }

        if (experiment.IsOfWarehouse)
        {
            throw new InvalidOperationException(
                $"Experiment {experimentId} is counted from a warehouse, not from events. Refresh its results instead. Nothing was changed."
            );
        }

        var from = links.Select(link => link.From).Append(experiment.Timeline.Runs[0].From.AddMilliseconds(-1)).Min();
        await using var reading = await store.Read(source, connection, experiment.EnvironmentId, ct);
        await Demand(connection, from);
        // Exposures from just before the start are reported too, if their months still exist.
        var justBefore = experiment.Timeline.Runs[0].From - Timeline.Slow;
        from = Instants.Earlier(from, justBefore);

        var lastBatch = experiment.LastBatch(late);
        var aliases = experiment.UnitKey is null ? await new IdentityAliases(connection).All(experiment.EnvironmentId, lastBatch) : [];
        var writer = await new ExperimentRecount(connection, reading, experiment, links, (one, batch) => one.InTime(batch, late)).Write(
            from,
            highWaterMark,
            aliases,
            aliases.Count == 0 ? null : lastBatch,
            ct
        );
        if (corrects)
        {
            await writer.Finish(invalidates: true);
            await transaction.CommitAsync(ct);
        }

        return writer.Report;
    }

    // So that each batch has been counted or waits.
    private async Task FinishBegun(NpgsqlConnection connection, long experimentId, CancellationToken ct)
    {
        for (var isBegun = true; isBegun; )
        {
            await using var transaction = await connection.BeginTransactionAsync(ct);
            isBegun =
                await AggregationBatch.HasBegun(connection, experimentId)
                && await AggregationLock.Take(connection, experimentId)
                && await new AggregationBatch(store, source, connection, late).Finish(experimentId, ct);
            await transaction.CommitAsync(ct);
        }
    }

    // Dropped events cannot be counted again, so the counts derived from them must be kept.
    private static async Task Demand(NpgsqlConnection connection, DateTime from)
    {
        var oldest = await connection.QuerySingleAsync<DateTime?>("SELECT max(until) FROM dropped_events");
        if (from < oldest)
        {
            throw new InvalidOperationException(
                $"Events before {oldest:yyyy-MM-dd} have been dropped, so the experiment can't be rebuilt from events. Nothing was changed."
            );
        }
    }
}
