using Dapper;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Reads the definitions that aggregation needs: the started experiments of some environments, and their metrics. Definitions that can't
/// be read are skipped.
/// </summary>
/// <param name="source">For connections of its own.</param>
/// <param name="connection">The connection of the aggregating transaction.</param>
/// <param name="unreadable">Records skipped definitions; null for work that refuses to go on without them.</param>
internal sealed class DefinitionReader(NpgsqlDataSource source, NpgsqlConnection connection, UnreadableDefinitions? unreadable = null)
{
    // A request that starts, pauses or ends an experiment locks the feature first and reads the clock afterwards. Taking the same lock
    // here waits for requests in progress and ensures that later ones get an instant after the horizon. The runs read here are therefore
    // final up to the horizon. The wait is short; a lock that is held for longer holds up only its own environment.
    private const string Locked = """
        SET LOCAL lock_timeout = '100ms';
        SELECT s.feature_id FROM feature_states s
        WHERE s.environment_id = ANY (@environments)
          AND EXISTS (SELECT FROM experiments e WHERE e.environment_id = s.environment_id AND e.feature_id = s.feature_id
              AND e.status <> 'completed' AND e.deleted_at IS NULL)
        ORDER BY s.environment_id, s.feature_id
        FOR SHARE
        """;

    private const string Definition = $"""
        {Columns}
        WHERE e.id = @experimentId AND e.started_at IS NOT NULL
        """;

    private const string Definitions = $"""
        {Columns}
        WHERE e.environment_id = ANY (@environments) AND e.started_at - interval '30 days' < @until
            AND (e.ended_at IS NULL OR e.ended_at + e.windows_run_on >= @from) AND e.deleted_at IS NULL
            AND (@all OR e.source IS NULL)
        ORDER BY e.id
        """;

    private const string Columns = """
        SELECT e.id, e.environment_id, f.name AS feature_name, e.salt, e.variants::text AS variants, e.rollouts::text AS rollouts,
               e.rollout_percentage, e.runs - e.off AS runs, e.ended_at, e.windows_run_on,
               h.salt AS holdout_salt, h.percentage AS holdout_percentage,
               e.exposure::text AS exposure, e.breakdowns, e.hashing, e.source IS NOT NULL AS is_of_warehouse,
               CASE WHEN e.source IS NULL THEN NULLIF(e.unit_key, '') END AS unit_key
        FROM experiments e
        JOIN features f ON f.id = e.feature_id
        LEFT JOIN holdouts h ON h.id = e.holdout_id
        """;

    private readonly List<UnreadableDefinition> _unreadable = [];

    /// <summary>One experiment, if it has started, and the instant up to which its known runs are final.</summary>
    public async Task<(IReadOnlyList<ExperimentDefinition> Experiments, DateTime HighWaterMark)> Experiments(
        long experimentId,
        CancellationToken ct
    )
    {
        var environment =
            await connection.QuerySingleOrDefaultAsync<long?>(
                "SELECT environment_id FROM experiments WHERE id = @experimentId",
                new { experimentId }
            ) ?? throw new InvalidOperationException($"There is no experiment {experimentId}.");
        var (experiments, highWaterMark) = await Experiments(
            [environment],
            DateTime.UnixEpoch,
            DateTime.MaxValue.AddYears(-1),
            ct,
            all: true
        );
        _unreadable.RemoveAll(one => one.ExperimentId != experimentId);
        return ([.. experiments.Where(experiment => experiment.Id == experimentId && experiment.Timeline.Runs.Count > 0)], highWaterMark);
    }

    /// <summary>
    /// One experiment as it is in the snapshot of the connection, without waiting for changes in progress; null if it has not started or
    /// cannot be read.
    /// </summary>
    public async Task<ExperimentDefinition?> Snapshot(long experimentId) =>
        await connection.QueryFirstOrDefaultAsync<ExperimentDefinition.Row>(Definition, new { experimentId }) is { } row
            ? UnreadableDefinition.TryRead(row.Id, null, _unreadable, () => new ExperimentDefinition(row))
            : null;

    /// <summary>The metrics of those experiments that have started.</summary>
    public async Task<IReadOnlyList<MetricLink>> Links(IReadOnlyList<ExperimentDefinition> experiments)
    {
        var byId = experiments.ToDictionary(experiment => experiment.Id);
        return MetricLink.Of(
            await connection.QueryAsync<MetricLink.Row>(
                """
                SELECT l.id, l.experiment_id, l.aggregation, l.definition::text AS definition, t.as_of
                FROM experiment_metrics l LEFT JOIN metric_maturity t ON t.link_id = l.id
                WHERE l.experiment_id = ANY (@ids)
                """,
                new
                {
                    ids = byId.Values.Where(experiment => experiment.Timeline.Runs.Count > 0).Select(experiment => experiment.Id).ToArray(),
                }
            ),
            id => byId[id],
            _unreadable
        );
    }

    // Those that are counted from the events of the service, or all. In its own transaction, so that changes to an experiment wait only
    // while its definition is read.
    public async Task<(IReadOnlyList<ExperimentDefinition> Experiments, DateTime HighWaterMark)> Experiments(
        long[] environments,
        DateTime from,
        DateTime until,
        CancellationToken ct,
        bool all = false
    )
    {
        await using var beat = Heartbeat.Of(connection);
        await using var other = await source.OpenConnectionAsync(ct);
        await using var transaction = await other.BeginTransactionAsync(ct);
        await other.ExecuteAsync(Locked, new { environments });
        var rows = await other.QueryAsync<ExperimentDefinition.Row>(
            Definitions,
            new
            {
                environments,
                from,
                until,
                all,
            }
        );
        var highWaterMark = await other.QuerySingleAsync<DateTime>("SELECT clock_timestamp()");
        return (
            [
                .. rows.Select(row => UnreadableDefinition.TryRead(row.Id, null, _unreadable, () => new ExperimentDefinition(row)))
                    .OfType<ExperimentDefinition>(),
            ],
            highWaterMark
        );
    }

    /// <summary>The experiments of which a metric was skipped.</summary>
    public IReadOnlySet<long> Incomplete => _unreadable.Select(one => one.ExperimentId).ToHashSet();

    /// <summary>Refuses to continue if a definition was skipped, since the result would be wrong without it.</summary>
    /// <exception cref="InvalidOperationException">A definition cannot be read.</exception>
    public void DemandReadable()
    {
        if (_unreadable is [var one, ..])
        {
            throw new InvalidOperationException(
                $"The definition of experiment {one.ExperimentId}{(one.LinkId is { } link ? $", metric {link}," : "")} can't be "
                    + $"read: {one.Error}"
            );
        }
    }

    /// <summary>Records the skipped definitions in the current transaction.</summary>
    public Task SaveUnreadable() => unreadable?.Save(connection, _unreadable) ?? Task.CompletedTask;
}
