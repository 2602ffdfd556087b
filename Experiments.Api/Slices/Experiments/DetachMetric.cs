using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Takes a metric from an experiment that has not started.</summary>
internal static class DetachMetric
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapDelete(
                "/{id}/metrics/{link}",
                context => context.Delete(() => new Command(context.Scope, context.Id, context.RouteId("link")))
            )
            .WithOperation("detachMetric", "Detach a metric from an experiment that has not started")
            .ReturnsNothing()
            .FailsWith(Problem.NoExperiment, Problem.NoExperimentMetric, Problem.Stale, Problem.MetricsFrozen);

    internal sealed record Command(CommandScope Scope, long Id, long Link) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            {ExperimentMutation.Subject}, link AS (
                SELECT l.*, {ExperimentMetricView.State} AS state FROM experiment_metrics l JOIN subject s ON s.id = l.experiment_id
                WHERE l.id = @Link
            ), detached AS (
                DELETE FROM experiment_metrics l USING subject s, verdict v, link
                WHERE l.id = link.id AND NOT v.stale AND s.status = 'created'
                RETURNING l.id
            ), changed AS (
                UPDATE experiments e SET version = e.version + 1, updated_at = v.at FROM subject s, verdict v
                WHERE e.id = s.id AND EXISTS (SELECT FROM detached)
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT link.environment_id, @Actor, @RequestId, @Address,
                       'experiment.metric_detached', 'experiment', link.experiment_id, link.state FROM link
                JOIN detached USING (id)
            )
            SELECT v.before, v.stale, EXISTS (SELECT FROM link) AS is_known FROM verdict v
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    command.Link,
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { IsKnown: false } => Problem.NoExperimentMetric,
                { Stale: true } => Problem.Stale,
                { Before: not ExperimentStatus.Created } => Problem.MetricsFrozen,
                _ => Nothing.Value,
            };
        }

        private sealed record Row(ExperimentStatus Before, bool Stale, bool IsKnown);
    }
}
