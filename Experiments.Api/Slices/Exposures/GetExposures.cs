using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Exposures;

/// <summary>Counts identities by variant and exclusions by reason, and checks the sample ratio.</summary>
internal static class GetExposures
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet("/{id}/exposures", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("getExposures", "Exposures of an experiment by variant, and exclusions by reason")
            .Returns<ExposuresView>()
            .FailsWith(Problem.NoExperiment);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<ExposuresView>>;

    internal sealed class Handler(Db db, AggregationWorker worker) : IRequestHandler<Query, Result<ExposuresView>>
    {
        // Hourly points up to this duration, daily points beyond it.
        private static readonly TimeSpan Hourly = TimeSpan.FromHours(72);

        // Events that have just been sent are usually counted within this time. If more arrive than can be counted, the response says how
        // far aggregation has got.
        private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(20);

        // So few pending events are worth waiting for, so that their sender sees them counted.
        private const long Few = 1000;
        private static readonly TimeSpan LongerPatience = TimeSpan.FromMilliseconds(60);

        private const string Sql = $"""
            SELECT e.variants::text AS variants, e.started_at, e.ended_at,
                   CASE WHEN e.source IS NULL THEN COALESCE(p.oldest, clock_timestamp())
                        ELSE COALESCE(w.as_of, e.started_at, clock_timestamp()) END AS as_of,
                   CASE WHEN e.source IS NULL THEN p.events ELSE 0 END AS events, h.since AS held_since, h.reason AS held_reason,
                   (SELECT COALESCE(json_agg(json_build_array(c.hour, c.outcome, c.count)), '[]')
                    FROM exposure_counts c WHERE c.experiment_id = e.id AND c.count <> 0)::text AS counts
            FROM experiments e
            CROSS JOIN LATERAL ({AggregationLag.Sql}) p
            LEFT JOIN warehouse_reads w ON w.experiment_id = e.id
            LEFT JOIN counting_holds h ON h.environment_id = e.environment_id AND p.events > 0 AND e.source IS NULL
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            """;

        public async Task<Result<ExposuresView>> Handle(Query query, CancellationToken cancellationToken)
        {
            await worker.CatchUp(Patience, cancellationToken);
            var row = await db.Row<Row>(Sql, query, cancellationToken);
            if (row is { Events: > 0 and <= Few })
            {
                await worker.CatchUp(LongerPatience, cancellationToken);
                row = await db.Row<Row>(Sql, query, cancellationToken);
            }

            return row is null ? Problem.NoExperiment : View(row);
        }

        private static ExposuresView View(Row row)
        {
            var variants = StoredJson.Variants(row.Variants);
            var counts = JsonNode
                .Parse(row.Counts)!
                .AsArray()
                .Select(count =>
                    (
                        Hour: count![0]!.GetValue<DateTimeOffset>().UtcDateTime,
                        Result: count[1]!.GetValue<string>(),
                        Count: count[2]!.GetValue<long>()
                    )
                )
                .ToList();
            var byOutcome = counts
                .GroupBy(count => count.Result)
                .ToDictionary(group => group.Key, group => group.Sum(count => count.Count));
            var identities = variants.Select(variant => byOutcome.GetValueOrDefault(ExposureState.InVariant + variant.Key)).ToList();
            var total = identities.Sum();
            return new(
                row.AsOf,
                row.Events,
                CountingHeld.Of(row.HeldSince, row.HeldReason),
                total,
                VariantExposures.Of(variants.Select(variant => (variant.Key, variant.Weight)), identities),
                byOutcome.GetValueOrDefault(ExposureState.InHoldout),
                ExposureState.Reasons.ToDictionary(reason => reason, reason => byOutcome.GetValueOrDefault(reason)),
                SampleRatioView.Of(identities, variants.Select(variant => variant.Weight)),
                Series(
                    row,
                    [.. counts.Where(count => count.Result.StartsWith(ExposureState.InVariant, StringComparison.Ordinal))],
                    [.. variants.Select(variant => variant.Key)]
                )
            );
        }

        private static ExposureSeries Series(Row row, List<(DateTime Hour, string Result, long Count)> counts, List<string> keys)
        {
            var isHourly = row.StartedAt is null || (row.EndedAt ?? row.AsOf) - row.StartedAt.Value <= Hourly;
            return new(
                isHourly ? "hour" : "day",
                [
                    .. counts
                        .GroupBy(count => isHourly ? count.Hour : count.Hour.Date)
                        .OrderBy(point => point.Key)
                        .Select(point => new ExposurePoint(
                            point.Key,
                            keys.ToDictionary(
                                key => key,
                                key => point.Where(count => count.Result == ExposureState.InVariant + key).Sum(count => count.Count)
                            )
                        )),
                ]
            );
        }

        private sealed record Row(
            string Variants,
            DateTime? StartedAt,
            DateTime? EndedAt,
            DateTime AsOf,
            long Events,
            DateTime? HeldSince,
            string? HeldReason,
            string Counts
        );
    }
}
