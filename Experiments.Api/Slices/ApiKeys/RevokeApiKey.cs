using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.ApiKeys;

/// <summary>Takes a key out of force, here at once and on every replica within seconds.</summary>
internal static class RevokeApiKey
{
    public static void Map(RouteGroupBuilder keys, string scope) =>
        keys.MapDelete("/{key}", context => context.Delete(() => new Command(context.Caller, context.Tenant, context.RouteId("key"))))
            .WithOperation($"revoke{scope}ApiKey", $"Revoke an API key of the {scope.ToLowerInvariant()}")
            .ReturnsNothing()
            .FailsWith(Problem.NoApiKey);

    internal sealed record Command(Caller Caller, TenantScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db, AccessCache access) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            WITH revoked AS (
                UPDATE api_keys t SET revoked_at = clock_timestamp()
                WHERE id = @Id AND {TenantScope.Within} AND revoked_at IS NULL
                RETURNING *
            ), logged AS (
                INSERT INTO audit_log (environment_id, project_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT environment_id, project_id, @Actor, @RequestId, @Address, 'api_key.revoked', 'api_key', id,
                       jsonb_build_object('name', name, 'of', @Word::text, 'scopes', scopes) FROM revoked
            )
            SELECT {ApiKeyView.Columns} FROM revoked k
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var revoked = await db.Change<ApiKeyView>(
                Sql,
                new
                {
                    command.Id,
                    command.Caller,
                    command.Scope,
                    command.Scope.Word,
                },
                cancellationToken
            );
            access.Forget();
            return revoked is null ? Problem.NoApiKey : Nothing.Value;
        }
    }
}
