using System.Data;
using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>
/// Computes the results of an experiment from its sums and stores them. Only one process computes them at a time. If a computation fails,
/// the previous results are kept.
/// </summary>
internal sealed class ResultsService(NpgsqlDataSource source, IOptions<ResultsOptions> options, ILogger<ResultsService> logger)
{
    /// <summary>How many days an experiment <c>e</c> has run so far, excluding pauses.</summary>
    public const string DaysRun = """
        (SELECT COALESCE(extract(epoch FROM sum(COALESCE(upper(r), now()) - lower(r))), 0)::float8 / 86400
         FROM unnest(e.runs - e.off) AS r)
        """;

    /// <summary>Whether the results <c>r</c> of an experiment <c>e</c> have all its metrics, with all their events.</summary>
    public const string HasAllMetrics = """
        COALESCE(jsonb_array_length(jsonb_path_query_array(r.payload, '$.metrics[*] ? (!exists(@.is_backfilling))')), 0)
            = (SELECT count(*) FROM experiment_metrics l WHERE l.experiment_id = e.id)
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
                    'backfilled', l.is_unreadable
                        OR (l.backfilled AND (l.window_length = interval '0' OR (t.as_of IS NOT NULL
                            AND (t.as_of >= e.ended_at + e.windows_run_on
                                OR clock_timestamp() < e.ended_at + e.windows_run_on) IS NOT false))), 'added_after_start',
                                    l.added_after_start,
                    'missing_events', (SELECT COALESCE(json_agg(DISTINCT n.name), '[]') FROM (SELECT n #>> ARRAY[]::text[] AS name
                        FROM jsonb_path_query(l.definition, '$.**.event') AS q(n)) n
                        WHERE NOT EXISTS (SELECT FROM event_names k WHERE k.environment_id = e.environment_id AND k.event = n.name)),
                    'matured_to', t.as_of,
                    'mature', exposed_until(e.id, t.exposed_until),
                    'complete', CASE WHEN t.complete_until IS DISTINCT FROM t.exposed_until
                        THEN exposed_until(e.id, COALESCE(t.complete_until, e.started_at)) END,
                    'corrected_after_start', l.corrected_after_start,
                    'sums', (SELECT COALESCE(json_agg(json_build_object('arm', s.arm, 'y', s.y, 'yy', s.yy, 'd', s.d, 'dd', s.dd,
                        'yd', s.yd, 'x', s.x, 'xx', s.xx, 'yx', s.yx, 'y_non_zero', s.y_non_zero, 'd_non_zero', s.d_non_zero,
                        'not_numbers', s.not_numbers, 'waiting', s.waiting)), '[]')
                        FROM metric_sums s WHERE s.link_id = l.id),
                    'steps', (SELECT COALESCE(json_agg(json_build_array(s.arm, s.step, s.count)), '[]') FROM metric_steps s
                        WHERE s.link_id = l.id)) ORDER BY l.id), '[]')
                FROM (SELECT m.*, EXISTS (SELECT FROM unreadable_definitions u
                          WHERE u.experiment_id = m.experiment_id AND u.link_id IS NOT NULL) AS is_unreadable
                      FROM experiment_metrics m) l
                LEFT JOIN metric_maturity t ON t.link_id = l.id
                WHERE l.experiment_id = e.id)::text AS metrics,
               e.started_at, e.ended_at, e.ended_at + e.windows_run_on AS windows_close_at, COALESCE(p.oldest,
                   clock_timestamp()) AS as_of, p.events AS events_not_counted,
               (SELECT GREATEST(COALESCE(sum(n.count), 0)::bigint - e.events_before, 0) FROM event_names n
                   WHERE n.environment_id = e.environment_id) AS events_counted,
               (SELECT r.evidence FROM results r WHERE r.experiment_id = e.id)::text AS evidence,
               COALESCE((SELECT r.epoch FROM results r WHERE r.experiment_id = e.id), 0) AS epoch,
               (SELECT u.since FROM unreadable_definitions u WHERE u.experiment_id = e.id AND u.link_id IS NULL) AS unreadable_since,
               (e.plan->>'recommended_sample_size')::bigint AS needed,
               (e.plan->>'minimum_detectable_effect')::float8 AS planned_effect, (e.plan->>'alpha')::float8 AS planned_alpha,
               {DaysRun} AS days,
               CASE WHEN e.rollout_percentage < (SELECT max(percentage::numeric)
                   FROM jsonb_path_query(e.rollouts, '$[*].percentage ? (@.type() == "number")') AS percentage)
                    THEN e.rollout_percentage END AS lowered_to
        FROM experiments e
        CROSS JOIN LATERAL ({AggregationLag.Sql}) p
        WHERE e.id = @experimentId AND e.started_at IS NOT NULL
        """;

    // Identities that count but that the current rollout no longer includes.
    private const string WithoutVariant =
        "SELECT count(*) FROM exposures WHERE experiment_id = @experimentId AND counts_in >= 0 AND draw >= (@loweredTo / 100)::float8";

    private const string Keep = """
        WITH run AS (
            -- Unless it was reset since.
            SELECT id FROM experiments WHERE id = @experimentId AND started_at = @startedAt FOR SHARE
        ), kept AS (
            INSERT INTO results AS r (experiment_id, payload, as_of, evidence, looked_at, last_error, last_error_at)
            SELECT id, @payload::jsonb, @asOf, @evidence::jsonb, CASE WHEN @isLook THEN clock_timestamp() END, @error,
                CASE WHEN @error IS NOT NULL THEN clock_timestamp() END FROM run
            ON CONFLICT (experiment_id) DO UPDATE SET payload = excluded.payload, as_of = excluded.as_of,
                evidence = COALESCE(excluded.evidence, r.evidence), looked_at = COALESCE(excluded.looked_at, r.looked_at),
                    last_error = excluded.last_error, last_error_at = excluded.last_error_at
            WHERE r.epoch = @epoch AND (r.as_of IS NULL OR r.as_of <= excluded.as_of)
            RETURNING r.experiment_id
        )
        INSERT INTO results_history AS h (experiment_id, day, payload, as_of) SELECT experiment_id, (@asOf AT TIME ZONE 'UTC')::date,
            @payload::jsonb, @asOf FROM kept
        ON CONFLICT (experiment_id, day) DO UPDATE SET payload = excluded.payload, as_of = excluded.as_of WHERE h.as_of <= excluded.as_of
        """;

    private const string Blame = """
        INSERT INTO results (experiment_id, last_error, last_error_at) VALUES (@experimentId, @error, clock_timestamp())
        ON CONFLICT (experiment_id) DO UPDATE SET last_error = excluded.last_error, last_error_at = excluded.last_error_at
        """;

    private const string BeforePart = "before_part";

    /// <summary>How long after an experiment's end its late events still count.</summary>
    public TimeSpan Late { get; } = options.Value.LateEvents;

    /// <summary>The minimum interval between two refreshes.</summary>
    public TimeSpan Interval { get; } = options.Value.MinimumInterval;

    /// <summary>
    /// Computes and stores the results, unless somebody else is computing them. A failure is recorded with the results.
    /// </summary>
    /// <param name="experimentId">The experiment.</param>
    /// <param name="isLook">Whether the evidence found is kept. Only the hourly looks do, so that results do not depend on readers.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<Computation> Compute(long experimentId, bool isLook, CancellationToken ct)
    {
        try
        {
            return await Run(experimentId, isLook, ct).OrDetach(ct);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            logger.ResultsFailed(exception, experimentId);
            await using var connection = await source.OpenConnectionAsync(ct);
            await connection.ExecuteAsync(Blame, new { experimentId, error = Problem.ResultsFailed.Advice });
            return Computation.Failed;
        }
    }

    // Everything is read from one snapshot, so that identities and sums are consistent. Its transaction also holds the lock of this
    // computation, and is idle for no longer than the calculation takes.
    private async Task<Computation> Run(long experimentId, bool isLook, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var snapshot = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
        if (
            !await connection.QuerySingleAsync<bool>(
                "SELECT pg_try_advisory_xact_lock(hashtextextended('results', @experimentId))",
                new { experimentId }
            )
        )
        {
            return Computation.Busy;
        }

        if (await Read(connection, snapshot, experimentId, ct) is { } input)
        {
            var (results, evidence) = ResultsCalculator.Make(input, (metric, exception) => Report(experimentId, metric, exception));
            await using var keeping = await source.OpenConnectionAsync(ct);
            await keeping.ExecuteAsync(
                Keep,
                new
                {
                    experimentId,
                    payload = StoredJson.Write(results),
                    evidence = isLook && evidence is not null ? StoredJson.Write(evidence) : null,
                    epoch = input.Epoch,
                    isLook,
                    error = Incomplete(experimentId, input.UnreadableSince),
                    asOf = input.AsOf,
                    startedAt = input.StartedAt,
                }
            );
        }

        return Computation.Done;
    }

    private async Task<ResultsInput?> Read(NpgsqlConnection connection, NpgsqlTransaction snapshot, long experimentId, CancellationToken ct)
    {
        if (await connection.QueryFirstOrDefaultAsync<ResultsInput.Row>(Input, new { experimentId }) is not { } row)
        {
            return null;
        }

        var input = ResultsInput.Of(row, (metric, exception) => Report(experimentId, metric, exception));
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

        if (row.LoweredTo is { } loweredTo)
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

    private static string? Incomplete(long experimentId, DateTime? since) =>
        since is null
            ? null
            : $"The definition of the experiment can't be read, so its exposures have not been counted since {since:yyyy-MM-dd HH:mm} UTC. "
                + $"Once it can be read again, run: recompute {experimentId} --from-events";

    private void Report(long experimentId, long link, Exception exception) => logger.MetricFailed(exception, link, experimentId);
}
