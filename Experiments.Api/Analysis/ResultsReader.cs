using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>Reads what results are computed from.</summary>
internal sealed class ResultsReader(ILogger<ResultsService> logger)
{
    /// <summary>How many days an experiment <c>e</c> has run so far, excluding pauses.</summary>
    public const string DaysRun = """
        (SELECT COALESCE(extract(epoch FROM sum(COALESCE(upper(r), now()) - lower(r))), 0)::float8 / 86400
         FROM unnest(e.runs - e.off) AS r)
        """;

    private const string Input = $"""
        SELECT e.variants::text AS variants,
               (SELECT COALESCE(json_object_agg(outcome, count), json_build_object())
                   FROM (SELECT outcome, sum(count)::bigint AS count FROM exposure_counts WHERE experiment_id = e.id
                       GROUP BY 1) c)::text AS outcomes,
               (SELECT COALESCE(json_agg(json_build_object(
                    'link', l.id, 'metric', l.metric_id, 'name', l.name, 'role', l.role, 'expected_direction', l.expected_direction,
                        'aggregation', l.aggregation,
                    'definition', l.definition, 'margin', l.margin, 'is_unreadable', l.is_unreadable,
                    'backfilled', l.is_unreadable OR e.started_at IS NULL
                        OR (l.backfilled AND (l.window_length = interval '0' OR (t.as_of IS NOT NULL
                            AND (t.as_of >= e.ended_at + e.windows_run_on
                                OR clock_timestamp() < e.ended_at + e.windows_run_on) IS NOT false))), 'added_after_start',
                                    l.added_after_start,
                    'missing_events', (SELECT COALESCE(json_agg(DISTINCT n.name), '[]') FROM (SELECT n #>> ARRAY[]::text[] AS name
                        FROM jsonb_path_query(l.definition, '$.**.event') AS q(n)) n
                        WHERE e.source IS NULL AND NOT EXISTS (SELECT FROM event_names k
                            WHERE k.environment_id = e.environment_id AND k.event = n.name)),
                    'matured_to', t.as_of,
                    'mature', exposed_until(e.id, t.exposed_until),
                    'complete', CASE WHEN t.complete_until IS DISTINCT FROM t.exposed_until
                        THEN exposed_until(e.id, COALESCE(t.complete_until, e.started_at)) END,
                    'corrected_after_start', l.corrected_after_start,
                    'sums', (SELECT COALESCE(json_agg(json_build_object('arm', s.arm, 'y', s.y, 'yy', s.yy, 'd', s.d, 'dd', s.dd,
                        'yd', s.yd, 'x', s.x, 'xx', s.xx, 'yx', s.yx,
                        'w', s.w, 'ww', s.ww, 'xw', s.xw, 'yw', s.yw, 'dx', s.dx, 'dw', s.dw, 'y_non_zero', s.y_non_zero,
                        'd_non_zero', s.d_non_zero, 'not_numbers', s.not_numbers, 'waiting', s.waiting)), '[]')
                        FROM metric_sums s WHERE s.link_id = l.id),
                    'steps', (SELECT COALESCE(json_agg(json_build_array(s.arm, s.step, s.count)), '[]') FROM metric_steps s
                        WHERE s.link_id = l.id)) ORDER BY l.id), '[]')
                FROM (SELECT m.*, EXISTS (SELECT FROM unreadable_definitions u
                          WHERE u.experiment_id = m.experiment_id AND u.link_id IS NOT NULL) AS is_unreadable
                      FROM experiment_metrics m) l
                LEFT JOIN metric_maturity t ON t.link_id = l.id
                WHERE l.experiment_id = e.id)::text AS metrics,
               e.started_at, e.ended_at, e.ended_at + e.windows_run_on AS windows_close_at,
               -- What is read from a warehouse is of that moment.
               CASE WHEN e.source IS NULL THEN COALESCE(p.oldest, clock_timestamp())
                    ELSE COALESCE(w.as_of, e.started_at, clock_timestamp()) END AS as_of,
               CASE WHEN e.source IS NULL THEN p.events ELSE 0 END AS events_not_counted,
               CASE WHEN e.source IS NOT NULL THEN COALESCE(w.rows, 0)
                    ELSE (SELECT GREATEST(COALESCE(sum(n.count), 0)::bigint - e.events_before, 0) FROM event_names n
                        WHERE n.environment_id = e.environment_id) END AS events_counted,
               (SELECT r.evidence FROM results r WHERE r.experiment_id = e.id)::text AS evidence,
               (SELECT r.payload->'recommendation'->>'action' FROM results r WHERE r.experiment_id = e.id) AS recommended,
               COALESCE((SELECT r.payload->'sample_ratio'->>'is_healthy' = 'false' FROM results r
                   WHERE r.experiment_id = e.id), false) AS was_broken,
               COALESCE((SELECT r.epoch FROM results r WHERE r.experiment_id = e.id), 0) AS epoch,
               (SELECT u.since FROM unreadable_definitions u WHERE u.experiment_id = e.id AND u.link_id IS NULL) AS unreadable_since,
               (e.plan->>'recommended_sample_size')::bigint AS needed,
               (e.plan->>'minimum_detectable_effect')::float8 AS planned_effect, (e.plan->>'alpha')::float8 AS planned_alpha,
               {DaysRun} AS days,
               CASE WHEN e.source IS NULL AND e.rollout_percentage < (SELECT max(percentage::numeric)
                   FROM jsonb_path_query(e.rollouts, '$[*].percentage ? (@.type() == "number")') AS percentage)
                    THEN e.rollout_percentage END AS lowered_to
        FROM experiments e
        LEFT JOIN warehouse_reads w ON w.experiment_id = e.id
        CROSS JOIN LATERAL ({AggregationLag.Sql}) p
        WHERE e.id = @experimentId
        """;

    // Identities that count but that the current rollout no longer includes.
    private const string WithoutVariant =
        "SELECT count(*) FROM exposures WHERE experiment_id = @experimentId AND counts_in >= 0 AND draw >= (@loweredTo / 100)::float8";

    private const string BeforePart = "before_part";

    /// <summary>Everything that results are computed from; null if there is no such experiment.</summary>
    /// <param name="connection">The connection of the transaction.</param>
    /// <param name="snapshot">What is read comes from one snapshot.</param>
    /// <param name="experimentId">The experiment.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<ResultsInput?> Read(NpgsqlConnection connection, NpgsqlTransaction snapshot, long experimentId, CancellationToken ct)
    {
        if (await ReadSums(connection, experimentId) is not { } input)
        {
            return null;
        }

        var metrics = new List<MeasuredMetric>();
        foreach (var metric in input.Metrics)
        {
            var identities = input.IdentitiesOf(metric);
            var measured = metric;
            if (metric.Definition.Winsorize is { } held && identities.Sum() > 0)
            {
                measured =
                    await Attempt(snapshot, () => WinsorizedSums.Of(connection, experimentId, metric, held, identities), ct)
                    ?? metric with
                    {
                        Failed = true,
                    };
            }

            if (metric.Definition.Quantiles is not null)
            {
                var quantiles = await Attempt(snapshot, () => Quantiles.Of(connection, experimentId, metric, identities), ct);
                measured = measured with { Quantiles = quantiles };
            }

            metrics.Add(measured);
        }

        if (input.LoweredTo is { } loweredTo)
        {
            var without = await Attempt(
                snapshot,
                async () => (object)await connection.QuerySingleAsync<long>(WithoutVariant, new { experimentId, loweredTo }),
                ct
            );
            input = input with { Warnings = without is 0L ? [] : [new("rollout_lowered", (long?)without)] };
        }

        return input with
        {
            Metrics = metrics,
        };

        // A part that fails, for example because it takes too long, leaves the other parts unaffected.
        async Task<T?> Attempt<T>(NpgsqlTransaction transaction, Func<Task<T>> part, CancellationToken token)
            where T : class
        {
            await transaction.SaveAsync(BeforePart, token);
            try
            {
                return await part();
            }
            catch (PostgresException exception) when (!token.IsCancellationRequested)
            {
                await transaction.RollbackAsync(BeforePart, token);
                logger.PartFailed(exception, experimentId);
                return null;
            }
        }
    }

    /// <summary>One metric with its sums, or why it cannot be computed.</summary>
    /// <param name="connection">The connection of a snapshot.</param>
    /// <param name="experimentId">The experiment.</param>
    /// <param name="metric">The metric, by its id; null for the primary one.</param>
    public async Task<Result<MetricInput>> ReadMetric(NpgsqlConnection connection, long experimentId, long? metric) =>
        await ReadSums(connection, experimentId) is not { } input ? Problem.NoExperiment
        : input.Metrics.FirstOrDefault(one => metric is null ? one.Role == MetricRole.Primary : one.Metric == metric)
            is not { Failed: false } measured
            ? Problem.ResultsFailed
        : measured.IsBackfilling ? Problem.BackfillPending
        : new MetricInput(input, measured);

    /// <summary>Everything but what takes a pass over all identities: values are not clamped, and there are no quantiles.</summary>
    public async Task<ResultsInput?> ReadSums(NpgsqlConnection connection, long experimentId) =>
        await connection.QueryFirstOrDefaultAsync<ResultsInput.Row>(Input, new { experimentId }) is { } row
            ? ResultsInput.Of(row, (metric, exception) => logger.MetricFailed(exception, metric, experimentId))
            : null;
}

/// <summary>A metric among all that its experiment's results are computed from.</summary>
internal sealed record MetricInput(ResultsInput Experiment, MeasuredMetric Metric);
