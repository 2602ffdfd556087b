using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>
/// Ends a holdout whose experiments are over: its identities get the current values of features, and new experiments cannot use it. What
/// was counted by it stays.
/// </summary>
internal static class RetireHoldout
{
    public static void Map(RouteGroupBuilder holdouts) =>
        holdouts
            .MapPost(
                "/{id}/retire",
                context => context.Act<RequestContext.NoBody, HoldoutView>(_ => new Command(context.Scope, context.Id))
            )
            .WithOperation("retireHoldout", "Retire a holdout whose experiments are over, for good")
            .Returns<HoldoutView>()
            .FailsWith(Problem.NoHoldout, Problem.Stale, Problem.HoldoutInUse, Problem.HoldoutRetired);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<HoldoutView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<HoldoutView>>
    {
        private const string Sql = $"""
            {HoldoutRetirement.Subject}, changed AS (
                UPDATE holdouts h SET retired_at = GREATEST(clock_timestamp(), h.updated_at), version = s.version + 1,
                    updated_at = GREATEST(clock_timestamp(), h.updated_at)
                FROM subject s
                WHERE h.id = s.id AND h.environment_id = @EnvironmentId AND NOT s.stale AND NOT s.in_use AND s.retired_at IS NULL
                RETURNING h.*
            ), {HoldoutRetirement.Released}, logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT h.environment_id, @Actor, @RequestId, @Address, 'holdout.retired', 'holdout', h.id, s.state, {HoldoutView.State}
                FROM changed h, subject s
            ), {HoldoutView.Now}
            SELECT s.stale, s.in_use, EXISTS (SELECT FROM changed) AS changed, {HoldoutView.Columns} FROM now h, subject s
            """;

        public async Task<Result<HoldoutView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<Row>(Sql, new { command.Id, command.Scope }, cancellationToken);

            return row switch
            {
                null => Problem.NoHoldout,
                { Stale: true } => Problem.Stale,
                { InUse: true } => Problem.HoldoutInUse,
                { Changed: false } => Problem.HoldoutRetired,
                _ => row,
            };
        }

        private sealed record Row : HoldoutView
        {
            public bool Stale { get; init; }

            public bool InUse { get; init; }

            public bool Changed { get; init; }
        }
    }
}
