using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// What is known of an experiment before it is planned: its weights, how many identities come in a day, and the baseline of its primary
/// metric and of its guardrails. Baselines are those of control once it is large enough, and before that those of recent events.
/// </summary>
internal sealed class PlanBaseline(Db db, Baseline recent)
{
    /// <summary>With fewer identities than this, a variance is too uncertain to plan from.</summary>
    public const int FewestIdentities = 100;

    private const string Sql = $"""
        SELECT e.status = 'completed' AS is_over, e.source IS NOT NULL AS is_of_warehouse,
               NULLIF(e.unit_key, '') AS unit_key, e.variants::text AS variants,
               e.rollout_percentage::float8 / 100 * (1 - COALESCE((SELECT h.percentage FROM holdouts h
                   WHERE h.id = e.holdout_id), 0)::float8 / 100) AS taking_part,
               (SELECT COALESCE(sum(count), 0)::bigint FROM exposure_counts
                   WHERE experiment_id = e.id AND outcome = '{ExposureState.InVariant}control') AS control,
               (SELECT COALESCE(sum(count), 0)::bigint FROM exposure_counts
                   WHERE experiment_id = e.id AND outcome LIKE '{ExposureState.InVariant}%') AS identities,
               {ResultsReader.DaysRun} AS days,
               l.metric_id, l.role, l.expected_direction, l.margin, l.aggregation, l.definition::text AS definition,
               COALESCE(l.backfilled, false) AS is_backfilled,
               COALESCE(s.y, 0)::float8 AS y, COALESCE(s.yy, 0)::float8 AS yy, COALESCE(s.d, 0)::float8 AS d,
                   COALESCE(s.dd, 0)::float8 AS dd, COALESCE(s.yd, 0)::float8 AS yd,
               COALESCE(s.y_non_zero, 0) AS y_non_zero, COALESCE(s.d_non_zero, 0) AS d_non_zero
        FROM experiments e
        LEFT JOIN experiment_metrics l ON l.experiment_id = e.id
            AND (l.role IN ('primary', 'guardrail') OR l.expected_direction IN ('not_increase', 'not_decrease'))
        LEFT JOIN metric_sums s ON s.link_id = l.id AND s.arm = 0
        WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
        ORDER BY l.role <> 'primary', l.id
        """;

    /// <summary>Null if there is no such experiment.</summary>
    public async Task<PlanInput?> Of(long environmentId, long experimentId, CancellationToken ct)
    {
        var rows = await db.Rows<Row>(Sql, new { Id = experimentId, EnvironmentId = environmentId }, ct);
        if (rows is not [var first, ..])
        {
            return null;
        }

        var input = new PlanInput(
            first.IsOver,
            [.. StoredJson.Variants(first.Variants).Select(variant => variant.Weight)],
            first is { Control: >= FewestIdentities, Days: > 0 } ? first.Identities / first.Days : null,
            []
        );
        if (first.IsOver || first.MetricId is null)
        {
            return input;
        }

        var metrics = new List<MetricBaseline>();
        foreach (var row in rows)
        {
            var (baseline, perDay) = await Of(environmentId, row, ct);
            // Of the new identities, only those take part that the holdout leaves and the rollout includes.
            input = input with
            {
                PerDay = input.PerDay ?? (perDay * first.TakingPart),
            };
            metrics.Add(baseline);
        }

        return input with
        {
            Metrics = metrics,
        };
    }

    private async Task<(MetricBaseline Baseline, double? PerDay)> Of(long environmentId, Row row, CancellationToken ct)
    {
        var definition = MetricRules.Read(row.Definition!);
        var metric = new PlannedMetric(
            Words.Parse<MetricAggregation>(row.Aggregation),
            definition,
            Words.Parse<MetricRole>(row.Role),
            Words.Parse<ExpectedDirection>(row.ExpectedDirection),
            row.Margin
        );
        // The stored sums of a winsorised metric are not winsorised, and those of a metric with windows are not of all identities.
        if (row is { IsBackfilled: true, Control: >= FewestIdentities } && definition is { Winsorize: null, Window: null })
        {
            var sums = new SufficientStatistics(row.Control, row.Y, row.YY, row.D, row.DD, row.YD)
            {
                NonZero = row.YNonZero,
                DenominatorNonZero = row.DNonZero,
            };
            return (new(row.MetricId!.Value, metric, sums, "control"), null);
        }

        // What the service received lately is of others.
        if (row.IsOfWarehouse)
        {
            return (new(row.MetricId!.Value, metric, new SufficientStatistics(0, 0, 0), "control"), null);
        }

        var (found, perDay) = await db.Elsewhere(() =>
            recent.Of(environmentId, row.UnitKey, metric.Aggregation, definition, ct).OrDetach(ct)
        );
        return (new(row.MetricId!.Value, metric, found, "recent_events"), perDay);
    }

    private sealed record Row
    {
        public bool IsOver { get; init; }

        public bool IsOfWarehouse { get; init; }

        public string? UnitKey { get; init; }

        public string Variants { get; init; } = "[]";

        /// <summary>The share of identities that neither the rollout nor the holdout leaves out.</summary>
        public double TakingPart { get; init; }

        /// <summary>The identities in control.</summary>
        public long Control { get; init; }

        /// <summary>The identities in all variants.</summary>
        public long Identities { get; init; }

        public double Days { get; init; }

        public long? MetricId { get; init; }

        public string? Role { get; init; }

        public string? ExpectedDirection { get; init; }

        public double Margin { get; init; }

        public string? Aggregation { get; init; }

        public string? Definition { get; init; }

        public bool IsBackfilled { get; init; }

        public double Y { get; init; }

        public double YY { get; init; }

        public double D { get; init; }

        public double DD { get; init; }

        public double YD { get; init; }

        public long YNonZero { get; init; }

        public long DNonZero { get; init; }
    }
}

/// <summary>What a plan is made from.</summary>
/// <param name="IsOver">Whether the experiment is completed.</param>
/// <param name="Weights">The weights of the variants, control first.</param>
/// <param name="PerDay">How many identities come in a day, or null if that is not known.</param>
/// <param name="Metrics">The primary metric, if there is one, and the metrics that must not get worse.</param>
internal sealed record PlanInput(bool IsOver, IReadOnlyList<decimal> Weights, double? PerDay, IReadOnlyList<MetricBaseline> Metrics);

/// <summary>The baseline of a metric, and where it comes from: control or recent events.</summary>
internal sealed record MetricBaseline(long Metric, PlannedMetric Planned, SufficientStatistics Sums, string Source)
{
    public bool IsPrimary => Planned.Role == MetricRole.Primary;
}
