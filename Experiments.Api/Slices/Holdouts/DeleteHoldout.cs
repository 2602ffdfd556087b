using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using MediatR;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>Deletes a holdout that no experiment has started with; drafts that have it lose it.</summary>
internal static class DeleteHoldout
{
    public static void Map(RouteGroupBuilder holdouts) =>
        holdouts
            .MapDelete("/{id}", context => context.Delete(() => new Command(context.Scope, context.Id)))
            .WithOperation("deleteHoldout", "Delete a holdout that no experiment uses")
            .ReturnsNothing()
            .FailsWith(Problem.NoHoldout, Problem.Stale, Problem.HoldoutInUse);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            {HoldoutView.Lock}

            WITH subject AS (
                SELECT h.*, {HoldoutView.State} AS state, {HoldoutView.IsInUse} AS in_use,
                    COALESCE({HoldoutView.Tag} <> ALL (@IfMatch::text[]), false) AS stale
                FROM holdouts h
                WHERE h.id = @Id AND h.environment_id = @EnvironmentId AND h.deleted_at IS NULL
            ), changed AS (
                UPDATE holdouts h SET deleted_at = clock_timestamp(), version = s.version + 1
                FROM subject s
                WHERE h.id = s.id AND NOT s.stale AND NOT s.in_use
                RETURNING h.*
            ), draft AS (
                SELECT e.*, {ExperimentView.State} AS state FROM experiments e JOIN changed c ON e.holdout_id = c.id
                WHERE e.deleted_at IS NULL
            ), released AS (
                UPDATE experiments e SET holdout_id = NULL, version = e.version + 1, updated_at = GREATEST(clock_timestamp(), e.updated_at)
                FROM draft WHERE e.id = draft.id AND e.started_at IS NULL
                RETURNING e.*, draft.state AS before, {ExperimentView.State} AS after
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT c.environment_id, @Actor, @RequestId, @Address,
                       'holdout.deleted', 'holdout', c.id, s.state, NULL::jsonb FROM changed c, subject s
                UNION ALL
                SELECT r.environment_id, @Actor, @RequestId, @Address,
                       'experiment.updated', 'experiment', r.id, r.before, r.after FROM released r
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
