using Dapper;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Lets identities count once their windows are over: recomputes those whose window has ended since the last time, and records up to when
/// that has been done. How often depends on the length of the window, from once a second to once in five minutes.
/// </summary>
internal sealed class WindowClock(NpgsqlDataSource source, NpgsqlConnection connection, UnreadableDefinitions unreadable)
{
    private const string Due = """
        SELECT e.id
        FROM experiment_metrics l
        JOIN experiments e ON e.id = l.experiment_id
        JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
        LEFT JOIN metric_maturity t ON t.link_id = l.id
        -- No further than to what waits to be counted.
        CROSS JOIN LATERAL (
            SELECT LEAST(clock_timestamp(), (
                SELECT b.received_at FROM event_batches b WHERE b.environment_id = e.environment_id ORDER BY b.id LIMIT 1), (
                SELECT a.received_at FROM event_arrivals a WHERE a.environment_id = e.environment_id ORDER BY a.id LIMIT 1)) AS known
        ) h
        WHERE l.window_length > '0' AND e.started_at IS NOT NULL AND e.deleted_at IS NULL AND e.source IS NULL
            AND e.environment_id <> ALL (@held) AND e.id <> ALL (@skipped)
            AND (t.as_of IS NULL
                -- When windows are closed, at once; after that, no more.
                OR (t.as_of < e.ended_at + e.windows_run_on AND e.ended_at + e.windows_run_on <= h.known)
                OR (t.as_of < h.known - LEAST(interval '5 min', GREATEST(interval '1 s', l.window_length / 200))
                    AND (e.ended_at IS NULL OR t.as_of < e.ended_at + e.windows_run_on)))
        GROUP BY e.id
        ORDER BY min(COALESCE(t.as_of, '-infinity')), e.id
        LIMIT 1000
        """;

    private const int Size = 20_000;

    private const string Units = """
        SELECT identity, due_after FROM unit_metrics
        WHERE experiment_id = @Id AND due_after IS NOT NULL AND (due_after <= @running OR @isClosed)
        ORDER BY due_after FETCH FIRST @Size ROWS WITH TIES
        """;

    // Events that wait are of the time before: windows are not over before those are counted.
    private const string Waiting = """
        SELECT LEAST((SELECT min(received_at) FROM event_batches WHERE environment_id = @EnvironmentId),
            (SELECT min(received_at) FROM event_arrivals WHERE environment_id = @EnvironmentId))
        """;

    /// <summary>The experiments that are due, first those that have waited longest.</summary>
    /// <param name="skipped">Experiments that are postponed.</param>
    /// <param name="held">Environments that are postponed.</param>
    public async Task<IReadOnlyList<long>> Experiments(long[] skipped, long[] held) =>
        (await connection.QueryAsync<long>(Due, new { skipped, held })).AsList();

    /// <summary>
    /// Advances an experiment. Returns false if it cannot be read, or null if another replica aggregates its environment.
    /// </summary>
    public async Task<bool?> Advance(long experimentId, CancellationToken ct)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await AggregationLock.Take(connection, experimentId))
        {
            return null;
        }

        var definitions = new DefinitionReader(source, connection, unreadable);
        var (experiments, highWaterMark) = await definitions.Experiments(experimentId, ct);
        var links = await definitions.Links(experiments);
        var isReadable = experiments is [_] && links.Any(link => link.HasWindows);
        if (isReadable)
        {
            var waiting = await connection.QuerySingleAsync<DateTime?>(Waiting, new { experiments[0].EnvironmentId });
            await Advance(experiments[0], links, waiting < highWaterMark ? waiting.Value : highWaterMark);
        }

        await definitions.SaveUnreadable();
        await transaction.CommitAsync(ct);
        return isReadable;
    }

    private async Task Advance(ExperimentDefinition experiment, IReadOnlyList<MetricLink> links, DateTime asOf)
    {
        var timeline = experiment.Timeline;
        // When windows are closed, all that are open are over, whenever they were due.
        var isClosed = timeline.WindowsCloseAt <= asOf;
        var due = (
            await connection.QueryAsync<(Guid Identity, long DueAfter)>(
                Units,
                new
                {
                    experiment.Id,
                    running = timeline.RunningAt(asOf).Ticks,
                    isClosed,
                    Size,
                }
            )
        ).AsList();
        // If there are more, the rest follows the next time: only what was due until then is over.
        var isComplete = due.Count < Size;
        asOf = isComplete || isClosed ? asOf : timeline.At(TimeSpan.FromTicks(due[^1].DueAfter)) ?? asOf;
        var windowed = links.Where(link => link.HasWindows).ToList();
        windowed.ForEach(link => link.Mature(asOf));
        var sums = new MetricSumsDelta();
        var aggregator = new MetricAggregator(connection, links, sums);
        foreach (var (identity, _) in due)
        {
            aggregator.Recalculate(new(experiment.Id, identity));
        }

        await aggregator.Aggregate(new Dictionary<ExposureAggregator.Key, Domain.ExposureState>());
        await sums.Post(connection);
        if (isClosed && !isComplete)
        {
            return;
        }

        await MetricMaturity.Record(connection, timeline, windowed);
    }
}
