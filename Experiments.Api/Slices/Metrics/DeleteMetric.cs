using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Metrics;

/// <summary>Soft-deletes a metric. Completed experiments keep their own copy of it.</summary>
internal static class DeleteMetric
{
    public static void Map(RouteGroupBuilder metrics) =>
        metrics
            .MapDelete("/{id}", context => context.Delete(() => new Command(context.Scope, context.Id)))
            .WithOperation("deleteMetric", "Delete a metric that no active experiment uses")
            .ReturnsNothing()
            .FailsWith(Problem.NoMetric, Problem.Stale, Problem.MetricInUse);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            {MetricView.Lock}

            WITH subject AS (
                SELECT m.*, {MetricView.State} AS state, {MetricView.IsMeasuredBy} AS in_use,
                    COALESCE({MetricView.Tag} <> ALL (@IfMatch::text[]), false) AS stale
                FROM metrics m
                WHERE m.id = @Id AND m.environment_id = @EnvironmentId AND m.deleted_at IS NULL
            ), changed AS (
                UPDATE metrics m SET deleted_at = clock_timestamp(), version = s.version + 1
                FROM subject s
                WHERE m.id = s.id AND NOT s.stale AND NOT s.in_use
                RETURNING m.*
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT c.environment_id, @Actor, @RequestId, @Address, 'metric.deleted', 'metric', c.id, s.state FROM changed c, subject s
            )
            SELECT s.stale, s.in_use FROM subject s
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<Row>(Sql, new { command.Id, command.Scope }, cancellationToken);

            return row switch
            {
                null => Problem.NoMetric,
                { Stale: true } => Problem.Stale,
                { InUse: true } => Problem.MetricInUse,
                _ => Nothing.Value,
            };
        }

        private sealed record Row(bool Stale, bool InUse);
    }
}
