using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Results;

/// <summary>The metric of an experiment that a query names, or its primary one.</summary>
internal sealed record MetricChoice
{
    public const string Sql = """
        SELECT e.breakdowns, EXISTS (
            SELECT FROM experiment_metrics l
            WHERE l.experiment_id = e.id AND CASE WHEN @Metric::bigint IS NULL THEN l.role = 'primary' ELSE l.metric_id = @Metric END
        ) AS has_metric
        FROM experiments e
        WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
        """;

    public string[] Breakdowns { get; init; } = [];

    public bool HasMetric { get; init; }

    /// <summary>The choice that the statement above makes, or why there is none.</summary>
    public static async Task<Result<MetricChoice>> Of(
        Db db,
        string sql,
        long environmentId,
        long id,
        string? metric,
        CancellationToken ct
    ) =>
        await db.Row<MetricChoice>(
            sql,
            new
            {
                Id = id,
                EnvironmentId = environmentId,
                Metric = ObjectIds.In(metric),
            },
            ct
        ) switch
        {
            null => Problem.NoExperiment,
            { HasMetric: false } => ProblemResult.Field(
                "metric",
                metric is null ? "The experiment has no primary metric. Name another one." : "The experiment has no metric with this id."
            ),
            var chosen => chosen,
        };
}
