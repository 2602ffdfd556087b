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
            .MapGet("/{id}", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("getCohort", "Read a cohort")
            .Returns<CohortView>()
            .FailsWith(Problem.NoCohort);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<CohortView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<CohortView>>
    {
        private const string Sql = $"SELECT {CohortView.Columns} FROM cohorts c WHERE c.id = @Id AND c.environment_id = @EnvironmentId";

        public async Task<Result<CohortView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<CohortView>(Sql, query, cancellationToken) is { } cohort ? cohort : Problem.NoCohort;
    }
}
