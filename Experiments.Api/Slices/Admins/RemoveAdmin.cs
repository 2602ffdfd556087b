using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Admins;

/// <summary>Takes away the role of somebody in an environment, a project or the instance.</summary>
internal static class RemoveAdmin
{
    public static void Map(RouteGroupBuilder admins, string scope) =>
        admins
            .MapDelete("/{admin}", context => context.Delete(() => new Command(context.Caller, context.Tenant, context.RouteId("admin"))))
            .WithOperation($"remove{scope}Admin", $"Remove an admin of the {scope.ToLowerInvariant()}")
            .ReturnsNothing()
            .FailsWith(Problem.NoAdmin);

    internal sealed record Command(Caller Caller, TenantScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db, AccessCache access) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            WITH removed AS (
                DELETE FROM admins t WHERE t.id = @Id AND {TenantScope.Within} RETURNING t.*
            ), logged AS (
                INSERT INTO audit_log (environment_id, project_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT environment_id, project_id, @Actor, @RequestId, @Address, 'admin.removed', 'admin', id,
                       jsonb_build_object('subject', subject, 'issuer', issuer, 'role', role, 'of', @Word::text,
                           'project', project_id) FROM removed
            )
            SELECT {AdminView.Columns} FROM removed a
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var scope = command.Scope;
            var removed = await db.Change<AdminView>(
                Sql,
                new
                {
                    command.Id,
                    command.Caller,
                    scope,
                    scope.Word,
                },
                cancellationToken
            );
            access.Forget();
            return removed is null ? Problem.NoAdmin : Nothing.Value;
        }
    }
}
