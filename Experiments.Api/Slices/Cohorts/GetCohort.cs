using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Cohorts;

/// <summary>Reads one cohort, with how many it has now.</summary>
internal static class GetCohort
{
    public static void Map(RouteGroupBuilder cohorts) =>
        cohorts
            .MapGet("/{id}", (ObjectId id, RequestContext context) => context.Get(new Query(context.Environment.Id, id.Value)))
            .Named("getCohort", "Read a cohort")
            .Answers<CohortView>()
            .Refuses(Problem.NoCohort);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Outcome<CohortView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Outcome<CohortView>>
    {
        private const string Sql = $"SELECT {CohortView.Columns} FROM cohorts c WHERE c.id = @Id AND c.environment_id = @EnvironmentId";

        public async Task<Outcome<CohortView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<CohortView>(Sql, query, cancellationToken) is { } cohort ? cohort : Problem.NoCohort;
    }
}
