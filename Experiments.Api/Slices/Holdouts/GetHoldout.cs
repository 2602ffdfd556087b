using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>Reads one holdout, with the experiments that have it.</summary>
internal static class GetHoldout
{
    public static void Map(RouteGroupBuilder holdouts) =>
        holdouts
            .MapGet("/{id}", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("getHoldout", "Read a holdout")
            .Returns<HoldoutView>()
            .FailsWith(Problem.NoHoldout);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<HoldoutView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<HoldoutView>>
    {
        private const string Sql =
            $"SELECT {HoldoutView.Columns} FROM holdouts h WHERE h.id = @Id AND h.environment_id = @EnvironmentId AND h.deleted_at IS NULL";

        public async Task<Result<HoldoutView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<HoldoutView>(Sql, query, cancellationToken) is { } holdout ? holdout : Problem.NoHoldout;
    }
}
