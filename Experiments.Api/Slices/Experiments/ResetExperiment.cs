using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Resets an experiment that was started by mistake to before its first start, and disables its feature if that start enabled it. The
/// outcome of its run is kept among its former runs, and the next run starts with empty results. Identities keep their variants.
/// </summary>
internal static class ResetExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/reset",
                context => context.Act<RequestContext.NoBody, ExperimentView>(_ => new Command(context.Scope, context.Id))
            )
            .WithTimeLimit(TimeSpan.FromMinutes(1))
            .WithOperation("resetExperiment", "Reset an experiment to before its first start")
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.NeverStarted, Problem.ExperimentOver);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<ExperimentView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentView>>
    {
        // Aggregation of the environment is locked out, because its events would belong to the run that ends here. That lock is taken
        // first, as in aggregation. A process that is storing results of the run locks the experiment, and the second statement sees what
        // it stored. With millions of identities, the second statement takes some seconds.
        private const string Sql = $"""
            DO $$ BEGIN PERFORM set_config('statement_timeout', '60s', true); END $$;

            WITH turn AS MATERIALIZED (
                SELECT pg_advisory_xact_lock({AggregationLock.Keys}) FROM (SELECT @EnvironmentId::bigint AS environment_id) e
            ), standing AS MATERIALIZED (
                SELECT e.id
                FROM turn, experiments e
                JOIN feature_states s ON s.environment_id = e.environment_id AND s.feature_id = e.feature_id
                WHERE e.id = @Id AND e.environment_id = @EnvironmentId
                FOR NO KEY UPDATE OF s
            )
            SELECT e.id FROM experiments e JOIN standing s ON s.id = e.id WHERE e.environment_id = @EnvironmentId FOR NO KEY UPDATE OF e;

            {ExperimentMutation.Found}, changed AS (
                UPDATE experiments e SET
                    status = 'created', started_at = NULL, runs = DEFAULT, off = DEFAULT, rollouts = DEFAULT, enabled_feature = DEFAULT,
                    updated_at = v.at, version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                WHERE e.id = s.id AND NOT v.stale AND s.status IN ('running', 'paused')
                RETURNING e.*, {ExperimentView.State} AS state
            ), result AS (
                DELETE FROM results r USING changed c WHERE r.experiment_id = c.id RETURNING r.payload
            ), kept AS (
                INSERT INTO former_runs (experiment_id, started_at, reset_at, reset_by, state, results)
                SELECT s.id, s.started_at, c.updated_at, @Actor, s.state,
                    (SELECT payload - 'format' - 'significance' FROM result) FROM subject s, changed c
            ), no_history AS (
                DELETE FROM results_history h USING changed c WHERE h.experiment_id = c.id
            ), none_unreadable AS (
                DELETE FROM unreadable_definitions d USING changed c WHERE d.experiment_id = c.id
            ), none_read AS (
                DELETE FROM warehouse_reads w USING changed c WHERE w.experiment_id = c.id
            ), no_exposures AS (
                DELETE FROM exposures x USING changed c WHERE x.experiment_id = c.id
            ), no_counts AS (
                DELETE FROM exposure_counts n USING changed c WHERE n.experiment_id = c.id
            ), no_measurements AS (
                DELETE FROM unit_metrics m USING changed c WHERE m.experiment_id = c.id
            ), link AS (
                UPDATE experiment_metrics l SET backfilled = false, backfilled_to = NULL, backfilled_key = NULL, added_after_start = false,
                    corrected_after_start = false
                FROM changed c WHERE l.experiment_id = c.id RETURNING l.*
            ), no_sums AS (
                DELETE FROM metric_sums t USING link WHERE t.link_id = link.id
            ), no_maturity AS (
                DELETE FROM metric_maturity t USING link WHERE t.link_id = link.id
            ), no_steps AS (
                DELETE FROM metric_steps t USING link WHERE t.link_id = link.id
            ), switched AS (
                UPDATE feature_states s SET enabled = false, updated_at = c.updated_at, version = s.version + 1
                FROM changed c
                JOIN subject e ON e.id = c.id
                WHERE s.environment_id = c.environment_id AND s.feature_id = c.feature_id AND s.enabled AND e.enabled_feature
                RETURNING s.*
            ), {ExperimentMutation.Served}, {ExperimentMutation.LoggedWithServed}
            SELECT v.before, v.stale, EXISTS (SELECT FROM changed) AS changed, {ExperimentView.ColumnsButMetrics},
                   (SELECT COALESCE(jsonb_agg({ExperimentMetricView.State} ORDER BY l.id), '[]')::text
                    FROM (SELECT * FROM link UNION ALL SELECT * FROM experiment_metrics k
                        WHERE k.experiment_id = e.id AND NOT EXISTS (SELECT FROM changed)) l) AS metrics
            FROM verdict v
            CROSS JOIN (SELECT * FROM changed UNION ALL SELECT * FROM subject WHERE NOT EXISTS (SELECT FROM changed)) e
            CROSS JOIN (SELECT * FROM served UNION ALL SELECT * FROM flag WHERE NOT EXISTS (SELECT FROM served)) f
            """;

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<ExperimentMutation.Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Action = "experiment.reset",
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { Stale: true } => Problem.Stale,
                { Before: ExperimentStatus.Created } => Problem.NeverStarted,
                { Before: ExperimentStatus.Completed } => Problem.ExperimentOver,
                _ => row,
            };
        }
    }
}
