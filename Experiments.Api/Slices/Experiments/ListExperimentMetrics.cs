using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Lists the metrics of an experiment, in the order in which they were attached.</summary>
internal static class ListExperimentMetrics
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet("/{id}/metrics", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("listExperimentMetrics", "List the metrics of an experiment")
            .Returns<IReadOnlyList<ExperimentMetricView>>()
            .FailsWith(Problem.NoExperiment);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<IReadOnlyList<ExperimentMetricView>>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<IReadOnlyList<ExperimentMetricView>>>
    {
        private const string Sql = $"""
            SELECT {ExperimentMetricView.Columns}
            FROM experiments e
            LEFT JOIN experiment_metrics l ON l.experiment_id = e.id
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            ORDER BY l.id
            """;

        public async Task<Result<IReadOnlyList<ExperimentMetricView>>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Rows<ExperimentMetricView>(Sql, query, cancellationToken) is { Count: > 0 } rows
                ? Found([.. rows.Where(row => row.Id > 0)])
                : Problem.NoExperiment;

        // An interface converts to nothing by itself.
        private static Result<IReadOnlyList<ExperimentMetricView>> Found(ExperimentMetricView[] metrics) =>
            Result<IReadOnlyList<ExperimentMetricView>>.Of(metrics);
    }
}
