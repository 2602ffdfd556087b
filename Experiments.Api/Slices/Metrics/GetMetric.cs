using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Metrics;

/// <summary>Reads one metric, with the experiments that have it.</summary>
internal static class GetMetric
{
    public static void Map(RouteGroupBuilder metrics) =>
        metrics
            .MapGet("/{id}", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("getMetric", "Read a metric")
            .Returns<MetricView>()
            .FailsWith(Problem.NoMetric);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<MetricView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<MetricView>>
    {
        private const string Sql =
            $"SELECT {MetricView.Columns} FROM metrics m WHERE m.id = @Id AND m.environment_id = @EnvironmentId AND m.deleted_at IS NULL";

        public async Task<Result<MetricView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<MetricView>(Sql, query, cancellationToken) is { } metric ? metric : Problem.NoMetric;
    }
}
