using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>Lists the identities behind the numbers of a metric: those that have a value, with that value, by variant.</summary>
internal static class ListUnits
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet(
                "/{id}/metrics/{link}/units",
                context =>
                    context.Get(
                        new Query(
                            context.Environment.Id,
                            context.Id,
                            context.RouteId("link"),
                            context.Query["variant"],
                            context.Page,
                            context.Address
                        )
                    )
            )
            .WithOperation("listUnits", "List the identities that have a value of a metric")
            .HasPaging()
            .HasQuery("variant", "Only identities that count in this variant.", "green")
            .Returns<Listing<MetricUnit>>()
            .FailsWith(Problem.NoExperiment, Problem.NoExperimentMetric, Problem.ResultsFailed);

    internal sealed record Query(long EnvironmentId, long Id, long Link, string? Variant, Page Page, Uri Address)
        : IRequest<Result<Listing<MetricUnit>>>,
            IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    /// <summary>An identity with its value; of a ratio with its denominator.</summary>
    [Example("""{"identifier": "user-1", "variant": "green", "value": 59.9, "exposed_at": "2026-11-22T12:00:00Z"}""")]
    internal sealed record MetricUnit(
        string Identifier,
        string Variant,
        double Value,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Denominator,
        DateTime ExposedAt
    );

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<MetricUnit>>>
    {
        private const string Metrics = """
            SELECT e.variants::text AS variants, l.id, l.aggregation, l.definition::text AS definition
            FROM experiments e
            LEFT JOIN experiment_metrics l ON l.experiment_id = e.id
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            ORDER BY l.id
            """;

        // Counted from one; the index of what a metric does not have is null, and so is the number.
        private const string Sql = """
            WITH unit AS (
                SELECT m.identity, m.arm, COALESCE(m.numbers[@Y], 0) AS value, m.numbers[@D] AS denominator
                FROM unit_metrics m
                JOIN experiments e ON e.id = m.experiment_id
                WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND m.arm >= 0 AND (@arm::int IS NULL OR m.arm = @arm)
                    AND (m.numbers[@Y] <> 0 OR m.numbers[@D] <> 0)
            )
            SELECT (SELECT count(*) FROM unit) AS count, u.arm, u.value, u.denominator, x.identifier, x.enrolled_at AS exposed_at
            FROM (SELECT 1) always
            LEFT JOIN LATERAL (SELECT * FROM unit ORDER BY arm, identity LIMIT @Limit OFFSET @Offset) u ON true
            LEFT JOIN exposures x ON x.experiment_id = @Id AND x.identity = u.identity
            ORDER BY u.arm, u.identity
            """;

        public async Task<Result<Listing<MetricUnit>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var metrics = await db.Rows<Metric>(Metrics, new { query.Id, query.EnvironmentId }, cancellationToken);
            if (metrics.Count == 0 || metrics.All(metric => metric.Id != query.Link))
            {
                return metrics.Count == 0 ? Problem.NoExperiment : Problem.NoExperimentMetric;
            }

            var keys = StoredJson.Variants(metrics[0].Variants).Select(variant => variant.Key).ToList();
            if (query.Variant is { } variant && !keys.Contains(variant))
            {
                return ProblemResult.Field("variant", "The experiment has no variant with this key.");
            }

            if (LayoutOf(metrics, query.Link) is not { } layout)
            {
                return Problem.ResultsFailed;
            }

            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.Id,
                    query.EnvironmentId,
                    Y = layout.Y + 1,
                    D = layout.D + 1,
                    arm = query.Variant is { } key ? keys.IndexOf(key) : (int?)null,
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<MetricUnit>(
                query.Address,
                rows[0].Count,
                [
                    .. rows.Where(row => row.Identifier is not null)
                        .Select(row => new MetricUnit(
                            row.Identifier!,
                            keys[row.Arm!.Value],
                            row.Value!.Value,
                            row.Denominator,
                            row.ExposedAt!.Value
                        )),
                ]
            );
        }

        // Null if a definition cannot be read.
        private static MetricLayout? LayoutOf(IReadOnlyList<Metric> metrics, long link)
        {
            MetricLayout? layout = null;
            try
            {
                foreach (var metric in metrics)
                {
                    var start = layout?.End ?? 0;
                    layout = MetricLayout.Of(
                        Words.Parse<MetricAggregation>(metric.Aggregation),
                        MetricRules.Read(metric.Definition!),
                        start
                    );
                    if (metric.Id == link)
                    {
                        break;
                    }
                }
            }
            catch (JsonException)
            {
                return null;
            }

            return layout;
        }

        private sealed record Metric(string Variants, long? Id, string? Aggregation, string? Definition);

        private sealed record Row(long Count, short? Arm, double? Value, double? Denominator, string? Identifier, DateTime? ExposedAt);
    }
}
