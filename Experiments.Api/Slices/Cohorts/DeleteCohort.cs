using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Cohorts;

/// <summary>Deletes a cohort, so that its experiment can have another one. The identities stay what they are.</summary>
internal static class DeleteCohort
{
    public static void Map(RouteGroupBuilder cohorts) =>
        cohorts
            .MapDelete("/{id}", context => context.Delete(() => new Command(context.Scope, context.Id)))
            .WithOperation("deleteCohort", "Delete a cohort")
            .ReturnsNothing()
            .FailsWith(Problem.NoCohort);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            SELECT s.feature_id
            FROM cohorts c JOIN experiments e ON e.id = c.experiment_id
            JOIN feature_states s ON s.environment_id = e.environment_id AND s.feature_id = e.feature_id
            WHERE c.id = @Id AND c.environment_id = @EnvironmentId
            FOR NO KEY UPDATE OF s;

            WITH deleted AS (
                DELETE FROM cohorts c WHERE c.id = @Id AND c.environment_id = @EnvironmentId RETURNING c.*, {CohortView.State} AS before
            ), shown AS (
                UPDATE experiments e SET version = e.version + 1, updated_at = GREATEST(clock_timestamp(), e.updated_at) FROM deleted d
                WHERE e.id = d.experiment_id
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT environment_id, @Actor, @RequestId, @Address, 'cohort.deleted', 'cohort', id, before FROM deleted
            )
            SELECT id FROM deleted
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken) =>
            await db.ChangeLocked<Row>(Sql, new { command.Id, command.Scope }, cancellationToken) is null
                ? Problem.NoCohort
                : Nothing.Value;

        private sealed record Row(long Id);
    }
}
