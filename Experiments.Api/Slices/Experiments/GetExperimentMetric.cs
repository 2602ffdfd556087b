using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Reads one metric of an experiment.</summary>
internal static class GetExperimentMetric
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet("/{id}/metrics/{link}", context => context.Get(new Query(context.Environment.Id, context.Id, context.RouteId("link"))))
            .WithOperation("getExperimentMetric", "Read a metric of an experiment")
            .Returns<ExperimentMetricView>()
            .FailsWith(Problem.NoExperiment, Problem.NoExperimentMetric);

    internal sealed record Query(long EnvironmentId, long Id, long Link) : IRequest<Result<ExperimentMetricView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<ExperimentMetricView>>
    {
        private const string Sql = $"""
            SELECT {ExperimentMetricView.Columns}
            FROM experiments e
            LEFT JOIN experiment_metrics l ON l.experiment_id = e.id AND l.id = @Link
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            """;

        public async Task<Result<ExperimentMetricView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<ExperimentMetricView>(Sql, query, cancellationToken) switch
            {
                null => Problem.NoExperiment,
                { Id: 0 } => Problem.NoExperimentMetric,
                var metric => metric,
            };
    }
}
