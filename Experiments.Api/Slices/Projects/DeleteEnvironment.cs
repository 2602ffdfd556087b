using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>
/// Deletes an environment in which no experiment is running: its key opens nothing any more. What it holds is kept, and so is its audit.
/// </summary>
internal static class DeleteEnvironment
{
    public static void Map(RouteGroupBuilder environments) =>
        environments
            .MapDelete(
                "/{environment}",
                context => context.Delete(() => new Command(context.Caller, context.Id, context.RouteId("environment")))
            )
            .WithOperation("deleteEnvironment", "Delete an environment")
            .ReturnsNothing()
            .FailsWith(Problem.NoEnvironment, Problem.ExperimentsRunning);

    internal sealed record Command(Caller Caller, long ProjectId, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db, AccessCache access) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = """
            WITH target AS (
                SELECT e.*, EXISTS (
                    SELECT FROM experiments x WHERE x.environment_id = e.id AND x.status = 'running' AND x.deleted_at IS NULL) AS is_running
                FROM environments e WHERE e.id = @Id AND e.project_id = @ProjectId AND e.deleted_at IS NULL FOR UPDATE
            ), deleted AS (
                UPDATE environments e SET deleted_at = clock_timestamp() FROM target t WHERE e.id = t.id AND NOT t.is_running RETURNING e.*
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT id, @Actor, @RequestId, @Address,
                       'environment.deleted', 'environment', id, jsonb_build_object('name', name) FROM deleted
            )
            SELECT is_running FROM target
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var found = await db.Change<Found>(Sql, command, cancellationToken);
            access.Forget();
            return found switch
            {
                null => Problem.NoEnvironment,
                { IsRunning: true } => Problem.ExperimentsRunning,
                _ => Nothing.Value,
            };
        }

        private sealed record Found(bool IsRunning);
    }
}
