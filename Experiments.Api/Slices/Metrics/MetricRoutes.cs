using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Metrics;

internal static class MetricRoutes
{
    private static readonly ObjectOf Metric = new(
        "SELECT id FROM metrics WHERE id = @Id AND environment_id = @EnvironmentId AND deleted_at IS NULL",
        Problem.NoMetric
    );

    public static void MapMetrics(this RouteGroupBuilder environment)
    {
        var metrics = environment.MapGroup("/metrics").WithTags("Metrics").WithMetadata(Metric);
        ListMetrics.Map(metrics);
        CreateMetric.Map(metrics);
        GetMetric.Map(metrics);
        PatchMetric.Map(metrics);
        DeleteMetric.Map(metrics);
    }
}
