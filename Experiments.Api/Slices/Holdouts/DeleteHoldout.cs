using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>Deletes a holdout whose experiments are over, and retires it with that.</summary>
internal static class DeleteHoldout
{
    public static void Map(RouteGroupBuilder holdouts) =>
        holdouts
            .MapDelete("/{id}", context => context.Delete(() => new Command(context.Scope, context.Id)))
            .WithOperation("deleteHoldout", "Delete a holdout whose experiments are over")
            .ReturnsNothing()
            .FailsWith(Problem.NoHoldout, Problem.Stale, Problem.HoldoutInUse);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            {HoldoutRetirement.Subject}, changed AS (
                UPDATE holdouts h SET deleted_at = clock_timestamp(), retired_at = COALESCE(h.retired_at, clock_timestamp()),
                    version = s.version + 1
                FROM subject s
                WHERE h.id = s.id AND h.environment_id = @EnvironmentId AND NOT s.stale AND NOT s.in_use
                RETURNING h.*
            ), {HoldoutRetirement.Released}, logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT c.environment_id, @Actor, @RequestId, @Address,
                       'holdout.deleted', 'holdout', c.id, s.state, NULL::jsonb FROM changed c, subject s
            )
            SELECT s.stale, s.in_use FROM subject s
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<Row>(Sql, new { command.Id, command.Scope }, cancellationToken);

            return row switch
            {
                null => Problem.NoHoldout,
                { Stale: true } => Problem.Stale,
                { InUse: true } => Problem.HoldoutInUse,
                _ => Nothing.Value,
            };
        }

        private sealed record Row(bool Stale, bool InUse);
    }
}
