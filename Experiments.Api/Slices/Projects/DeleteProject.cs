using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Deletes a project in whose environments no experiment is running, and those environments with it.</summary>
internal static class DeleteProject
{
    public static void Map(RouteGroupBuilder project) =>
        project
            .MapDelete("/", context => context.Delete(() => new Command(context.Caller, context.Id)))
            .WithOperation("deleteProject", "Delete a project with its environments")
            .ReturnsNothing()
            .FailsWith(Problem.ExperimentsRunning);

    internal sealed record Command(Caller Caller, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db, AccessCache access) : IRequestHandler<Command, Result<Nothing>>
    {
        // Environments that are being added are waited for, and are deleted as well.
        private const string Sql = """
            SELECT id FROM projects WHERE id = @Id FOR UPDATE;

            WITH target AS (
                SELECT p.*, EXISTS (
                    SELECT FROM experiments x JOIN environments e ON e.id = x.environment_id
                    WHERE e.project_id = p.id AND e.deleted_at IS NULL AND x.status = 'running' AND x.deleted_at IS NULL) AS is_running
                FROM projects p WHERE p.id = @Id AND p.deleted_at IS NULL FOR UPDATE
            ), deleted AS (
                UPDATE projects p SET deleted_at = clock_timestamp() FROM target t WHERE p.id = t.id AND NOT t.is_running RETURNING p.*
            ), emptied AS (
                UPDATE environments e SET deleted_at = clock_timestamp() FROM deleted d WHERE e.project_id = d.id AND e.deleted_at IS NULL
                RETURNING e.*
            ), disconnected AS (
                UPDATE warehouse_connections w SET deleted_at = clock_timestamp(), password = ''
                FROM deleted d WHERE w.project_id = d.id AND w.deleted_at IS NULL
            ), logged AS (
                INSERT INTO audit_log (project_id, environment_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT id, NULL::bigint, @Actor, @RequestId, @Address,
                       'project.deleted', 'project', id, jsonb_build_object('name', name) FROM deleted
                UNION ALL
                SELECT NULL, id, @Actor, @RequestId, @Address,
                       'environment.deleted', 'environment', id, jsonb_build_object('name', name) FROM emptied
            )
            SELECT is_running FROM target
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var found = await db.ChangeLocked<Found>(Sql, command, cancellationToken);
            access.Forget();
            return found switch
            {
                // Somebody else has deleted it in the meantime, which is what was asked for.
                null => Nothing.Value,
                { IsRunning: true } => Problem.ExperimentsRunning,
                _ => Nothing.Value,
            };
        }

        private sealed record Found(bool IsRunning);
    }
}
