using Dapper;
using Experiments.Api.Platform.Data;
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
        LEFT JOIN metric_maturity t ON t.link_id = l.id
        WHERE open_window(l.definition) > interval '0' AND e.started_at IS NOT NULL AND e.deleted_at IS NULL
            AND e.environment_id <> ALL (@held) AND e.id <> ALL (@skipped)
            AND (t.as_of IS NULL
                -- When windows are closed, at once; after that, no more.
                OR (t.as_of < e.ended_at + e.windows_run_on AND e.ended_at + e.windows_run_on <= clock_timestamp())
                OR (t.as_of < clock_timestamp() - LEAST(interval '5 min', GREATEST(interval '1 s', open_window(l.definition) / 200))
                    AND (e.ended_at IS NULL OR t.as_of < e.ended_at + e.windows_run_on)))
        ORDER BY t.as_of NULLS FIRST, e.id
        LIMIT 1
        """;

    private const int Size = 20_000;

    private const string Units = """
        SELECT identity, due_at FROM unit_metrics
        WHERE experiment_id = @Id AND due_at IS NOT NULL AND (due_at <= @asOf OR @isClosed) ORDER BY due_at LIMIT @Size
        """;

    private const string Record = """
        INSERT INTO metric_maturity AS t (link_id, as_of, exposed_until, complete_until)
        SELECT * FROM unnest(@Links, @AsOf, @ExposedUntil, @CompleteUntil)
        ON CONFLICT (link_id) DO UPDATE SET as_of = excluded.as_of, exposed_until = excluded.exposed_until,
            complete_until = excluded.complete_until
        """;

    /// <summary>Advances the experiment that has waited longest. Returns false if none is due, or if another replica aggregates.</summary>
    /// <param name="skipped">Experiments that are postponed. One that fails or cannot be read is added.</param>
    /// <param name="held">Environments that are postponed.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<bool> Advance(HashSet<long> skipped, long[] held, CancellationToken ct)
    {
        if (await connection.QueryFirstOrDefaultAsync<long?>(Due, new { skipped = skipped.ToArray(), held }) is not { } experimentId)
        {
            return false;
        }

        skipped.Add(experimentId);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await AggregationLock.Take(connection))
        {
            return false;
        }

        var definitions = new DefinitionReader(source, connection, unreadable);
        var (experiments, highWaterMark) = await definitions.Experiments(experimentId, ct);
        var links = await definitions.Links(experiments);
        if (experiments is [var experiment] && links.Any(link => link.HasWindows))
        {
            await Advance(experiment, links, highWaterMark);
        }

        await definitions.SaveUnreadable();
        await transaction.CommitAsync(ct);
        return true;
    }

    private async Task Advance(ExperimentDefinition experiment, IReadOnlyList<MetricLink> links, DateTime asOf)
    {
        // When windows are closed, all that are open are over, whenever they were due.
        var isClosed = experiment.Timeline.WindowsCloseAt <= asOf;
        var due = (
            await connection.QueryAsync<(Guid Identity, DateTime DueAt)>(
                Units,
                new
                {
                    experiment.Id,
                    asOf,
                    isClosed,
                    Size,
                }
            )
        ).AsList();
        // The rest follows the next time.
        var isComplete = due.Count < Size;
        asOf = isComplete || isClosed ? asOf : due[^1].DueAt;
        var windowed = links.Where(link => link.HasWindows).ToList();
        windowed.ForEach(link => link.Mature(asOf));
        var aggregator = new MetricAggregator(connection, links);
        foreach (var (identity, _) in due)
        {
            aggregator.Recalculate(new(experiment.Id, identity));
        }

        await aggregator.Aggregate(new Dictionary<ExposureAggregator.Key, Domain.ExposureState>());
        if (isClosed && !isComplete)
        {
            return;
        }

        await connection.ExecuteAsync(
            Record,
            new
            {
                Links = new Column<long>(windowed.Select(link => link.Id)),
                AsOf = new Column<DateTime>(windowed.Select(link => link.AsOf!.Value)),
                ExposedUntil = new Column<DateTime?>(windowed.Select(link => LatestOver(link, closes: link.CountsCutShort))),
                CompleteUntil = new Column<DateTime?>(windowed.Select(link => LatestOver(link, closes: false))),
            }
        );

        DateTime? LatestOver(MetricLink link, bool closes) =>
            link.Window is { } window ? experiment.Timeline.LatestOver(window, link.AsOf!.Value, closes) : null;
    }
}
