using System.Text.Json.Serialization;
using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;
using MediatR;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>
/// Compares the held-out identities with all others, for each metric of each experiment that uses the holdout: the combined effect of the
/// experiments. Values are not winsorised here.
/// </summary>
internal static class GetHoldoutResults
{
    public static void Map(RouteGroupBuilder holdouts) =>
        holdouts
            .MapGet("/{id}/results", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("getHoldoutResults", "Results of a holdout: held-out identities against all others")
            .Returns<Response>()
            .FailsWith(Problem.NoHoldout);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<Response>>;

    [Example(
        """
            {"experiments": [{"id": 1, "name": "Green button", "status": "running", "held_out": 52, "rest": 1000, "metrics": [
                {"metric": 1, "metric_name": "Bought", "aggregation": "occurrence",
                 "held_out": {"n": 52, "sum": 10, "mean": 0.1923}, "rest": {"n": 1000, "sum": 231, "mean": 0.231},
                 "rest_over_held_out": {"key": "rest", "effect": 0.2012, "difference": 0.0387, "standard_error": 0.0563,
                    "frequentist": {"p_value": 0.4944, "ci": [-0.2484, 1.8013], "degrees_of_freedom": 57.2},
                        "sequential": {"p_value": 1, "ci": [null, null], "ci_reason": "control_near_zero"},
                    "bayesian": {"chance_to_win": 0.7542, "ci": [-0.2422, 1.7253], "expected_loss": [0.2439, 0.0427]}, "cuped": null,
                        "reason": null}}]}]}
            """
    )]
    internal sealed record Response(IReadOnlyList<HoldoutExperiment> Experiments);

    /// <summary>An experiment with the holdout.</summary>
    internal sealed record HoldoutExperiment(
        long Id,
        string Name,
        [property: Words<ExperimentStatus>] string Status,
        long HeldOut,
        long Rest,
        IReadOnlyList<HoldoutMetric> Metrics
    );

    /// <summary>A metric of those held out and of the others.</summary>
    internal sealed record HoldoutMetric(
        long Metric,
        string MetricName,
        [property: Words<MetricAggregation>] string Aggregation,
        HoldoutSide HeldOut,
        HoldoutSide Rest,
        ComparedArm RestOverHeldOut
    );

    /// <summary>The sums of one side; of a ratio with those of its denominator.</summary>
    internal sealed record HoldoutSide(
        long N,
        double Sum,
        double? Mean,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? DenominatorSum = null
    );

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql = $"""
            SELECT h.id AS holdout_id, e.id AS experiment_id, e.name, e.status, l.metric_id, l.name AS metric_name, l.aggregation,
                l.definition::text AS definition,
                l.expected_direction,
                   n.held_out, n.rest, m.held_out AS mature_held_out, m.rest AS mature_rest, s.is_held_out, s.y, s.yy, s.d, s.dd, s.yd
            FROM holdouts h
            LEFT JOIN experiments e ON e.holdout_id = h.id AND e.environment_id = h.environment_id AND e.started_at IS NOT NULL
                AND e.deleted_at IS NULL
            LEFT JOIN LATERAL (
                SELECT COALESCE(sum(c.count) FILTER (WHERE c.outcome = '{Domain.ExposureState.InHoldout}'), 0)::bigint AS held_out,
                       COALESCE(sum(c.count) FILTER (WHERE c.outcome LIKE '{Domain.ExposureState.InVariant}%'), 0)::bigint AS rest
                FROM exposure_counts c WHERE c.experiment_id = e.id
            ) n ON true
            LEFT JOIN experiment_metrics l ON l.experiment_id = e.id AND l.backfilled
                AND NOT EXISTS (SELECT FROM unreadable_definitions u WHERE u.link_id = l.id)
            LEFT JOIN metric_maturity t ON t.link_id = l.id
            LEFT JOIN LATERAL (
                SELECT COALESCE((x.n->'hours'->>'{Domain.ExposureState.InHoldout}')::bigint, 0) + COALESCE((x.n->'rest'->>'-1')::bigint, 0)
                           AS held_out,
                       COALESCE((SELECT sum(value::bigint) FROM jsonb_each_text(x.n->'hours') AS h(key, value)
                           WHERE key LIKE '{Domain.ExposureState.InVariant}%'), 0)::bigint
                       + COALESCE((SELECT sum(value::bigint) FROM jsonb_each_text(x.n->'rest') AS r(key, value)
                           WHERE key <> '-1'), 0)::bigint AS rest
                FROM (SELECT exposed_until(e.id, t.exposed_until) AS n WHERE l.window_length > '0') x
            ) m ON true
            LEFT JOIN LATERAL (
                SELECT arm < 0 AS is_held_out, sum(y)::float8 AS y, sum(yy)::float8 AS yy, sum(d)::float8 AS d, sum(dd)::float8 AS dd,
                    sum(yd)::float8 AS yd
                FROM metric_sums WHERE link_id = l.id GROUP BY 1
            ) s ON true
            WHERE h.id = @Id AND h.environment_id = @EnvironmentId AND h.deleted_at IS NULL
            ORDER BY e.id, l.id
            """;

        public async Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(Sql, query, cancellationToken);
            return rows.Count == 0
                ? Problem.NoHoldout
                : new Response([
                    .. rows.Where(row => row.ExperimentId is not null).GroupBy(row => row.ExperimentId!.Value).Select(OfExperiment),
                ]);
        }

        private static HoldoutExperiment OfExperiment(IGrouping<long, Row> rows)
        {
            var first = rows.First();
            return new(
                rows.Key,
                first.Name!,
                first.Status!,
                first.HeldOut,
                first.Rest,
                [.. rows.Where(row => row.MetricId is not null).GroupBy(row => row.MetricId!.Value).Select(OfMetric)]
            );
        }

        private static HoldoutMetric OfMetric(IGrouping<long, Row> rows)
        {
            var first = rows.First();
            var definition = MetricRules.Read(first.Definition!);
            // Only identities whose windows are over count, in the sums and in the number.
            var (heldOut, rest) = definition.Window is null
                ? (Sums(rows, true, first.HeldOut), Sums(rows, false, first.Rest))
                : (Sums(rows, true, first.MatureHeldOut), Sums(rows, false, first.MatureRest));
            var kind = MeasuredMetric.KindOf(Words.Parse<MetricAggregation>(first.Aggregation), definition);
            var settings = new ComparisonSettings(
                kind,
                HigherIsBetter: MeasuredMetric.IsHigherBetter(Words.Parse<ExpectedDirection>(first.ExpectedDirection))
            );
            return new(
                rows.Key,
                first.MetricName!,
                first.Aggregation!,
                SideOf(heldOut, kind),
                SideOf(rest, kind),
                ComparedArm.Of("rest", Comparison.Between(heldOut, rest, settings))
            );
        }

        private static SufficientStatistics Sums(IEnumerable<Row> rows, bool isHeldOut, long n) =>
            rows.FirstOrDefault(row => row.IsHeldOut == isHeldOut) is { } row ? new(n, row.Y, row.YY, row.D, row.DD, row.YD) : new(n, 0, 0);

        private static HoldoutSide SideOf(SufficientStatistics sums, MetricKind kind)
        {
            var per = kind == MetricKind.Ratio ? sums.DenominatorSum : sums.N;
            return new((long)sums.N, sums.Sum, per > 0 ? sums.Sum / per : null, kind == MetricKind.Ratio ? sums.DenominatorSum : null);
        }

        private sealed record Row
        {
            public long? ExperimentId { get; init; }

            public string? Name { get; init; }

            public string? Status { get; init; }

            public long? MetricId { get; init; }

            public string? MetricName { get; init; }

            public string? Aggregation { get; init; }

            public string? Definition { get; init; }

            public string? ExpectedDirection { get; init; }

            public long HeldOut { get; init; }

            public long Rest { get; init; }

            public long MatureHeldOut { get; init; }

            public long MatureRest { get; init; }

            public bool? IsHeldOut { get; init; }

            public double Y { get; init; }

            public double YY { get; init; }

            public double D { get; init; }

            public double DD { get; init; }

            public double YD { get; init; }
        }
    }
}
