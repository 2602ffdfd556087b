using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Reads one experiment.</summary>
internal static class GetExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet("/{id}", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("getExperiment", "Read an experiment")
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<ExperimentView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<ExperimentView>>
    {
        private const string Sql = $"""
            SELECT {ExperimentView.Columns}
            FROM experiments e
            JOIN environment_features f ON f.id = e.feature_id AND f.environment_id = e.environment_id
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            """;

        public async Task<Result<ExperimentView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<ExperimentView>(Sql, query, cancellationToken) is { } experiment ? experiment : Problem.NoExperiment;
    }
}
