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
            .MapGet("/{id}", (ObjectId id, RequestContext context) => context.Get(new Query(context.Environment.Id, id.Value)))
            .Named("getHoldout", "Read a holdout")
            .Answers<HoldoutView>()
            .Refuses(Problem.NoHoldout);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Outcome<HoldoutView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Outcome<HoldoutView>>
    {
        private const string Sql =
            $"SELECT {HoldoutView.Columns} FROM holdouts h WHERE h.id = @Id AND h.environment_id = @EnvironmentId AND h.deleted_at IS NULL";

        public async Task<Outcome<HoldoutView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<HoldoutView>(Sql, query, cancellationToken) is { } holdout ? holdout : Problem.NoHoldout;
    }
}
