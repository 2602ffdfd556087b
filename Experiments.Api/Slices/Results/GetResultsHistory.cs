using Experiments.Api.Analysis;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>The results as they were at the end of each day, to be drawn.</summary>
internal static class GetResultsHistory
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet("/{id}/results/history", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("getResultsHistory", "Daily history of the results of an experiment")
            .Returns<HistoryView>()
            .FailsWith(Problem.NoExperiment);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<HistoryView>>;

    /// <summary>One point a day, oldest first.</summary>
    [Example(
        """
            {"points": [{"day": "2026-11-22", "as_of": "2026-11-22T12:00:00Z", "total": 2000, "recommendation": {"action": "keep_running",
                "variant": null, "decided_by": [], "reasons": []},
                "metrics": [{"metric": 1, "treatments": [{"key": "green", "effect": 0.2, "ci": [-0.1009, 0.5009],
                    "sequential_ci": [-0.3251, 0.7251], "chance_to_win": 0.9038, "verdict": "inconclusive"}]}]}]}
            """
    )]
    internal sealed record HistoryView(IReadOnlyList<HistoryPoint> Points);

    /// <summary>The results at the end of a day.</summary>
    internal sealed record HistoryPoint(
        string Day,
        DateTime AsOf,
        long Total,
        RecommendationView Recommendation,
        IReadOnlyList<HistoryMetric> Metrics
    );

    /// <summary>A metric on a day.</summary>
    internal sealed record HistoryMetric(long Metric, IReadOnlyList<HistoryTreatment> Treatments);

    /// <summary>A variant compared with control on a day.</summary>
    internal sealed record HistoryTreatment(
        string Key,
        double? Effect,
        IReadOnlyList<double?>? Ci,
        IReadOnlyList<double?>? SequentialCi,
        double? ChanceToWin,
        Verdict Verdict
    );

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<HistoryView>>
    {
        private const string Sql = """
            SELECT to_char(h.day, 'YYYY-MM-DD') AS day, h.payload::text AS payload
            FROM experiments e
            LEFT JOIN results_history h ON h.experiment_id = e.id
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            ORDER BY h.day
            """;

        public async Task<Result<HistoryView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Rows<Row>(Sql, query, cancellationToken) switch
            {
                [] => Problem.NoExperiment,
                var rows => new HistoryView([.. rows.Select(PointOf).OfType<HistoryPoint>()]),
            };

        // Without a day, there is no history yet. A day that this release cannot read is left out.
        private static HistoryPoint? PointOf(Row row)
        {
            if (StoredJson.TryRead<ResultsView>(row.Payload) is not { } results)
            {
                return null;
            }

            return new(
                row.Day!,
                results.AsOf,
                results.Total,
                results.Recommendation,
                [
                    .. results.Metrics.Select(metric => new HistoryMetric(
                        metric.Metric,
                        [
                            .. metric.Treatments.Select(arm => new HistoryTreatment(
                                arm.Key,
                                arm.Effect,
                                arm.Frequentist?.Ci,
                                arm.Sequential?.Ci,
                                arm.Bayesian?.ChanceToWin,
                                arm.Verdict
                            )),
                        ]
                    )),
                ]
            );
        }

        private sealed record Row(string? Day, string? Payload);
    }
}
