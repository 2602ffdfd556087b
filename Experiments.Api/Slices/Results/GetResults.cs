using Experiments.Api.Aggregation;
using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Startup;
using Experiments.Api.Warehouse;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>Reads the last computed results of an experiment. They are recomputed if they are old, or on request.</summary>
internal static class GetResults
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet(
                "/{id}/results",
                context =>
                    context.Get(
                        new Query(
                            context.Scope,
                            context.Id,
                            context.Query["refresh"],
                            context.Query["role"],
                            context.Query["metric"],
                            context.Query["significance"]
                        )
                    )
            )
            .WithOperation("getResults", "Results of an experiment")
            .HasQuery("refresh", "true to refresh them first, as results/refresh/ does.", "true", otherwise: "false")
            .HasQuery("role", "Only metrics of this role: primary, secondary or guardrail.", "primary")
            .HasQuery("metric", "Only this metric, by its id.", "1")
            .HasQuery(
                "significance",
                "true for PostHog's significance codes, which may contradict the verdicts.",
                "true",
                otherwise: "false"
            )
            .Returns<ResultsView>()
            .FailsWith(Problem.NoExperiment, Problem.Invalid, Problem.TooSoon, Problem.ResultsFailed);

    internal sealed record Query(CommandScope Scope, long Id, string? Refresh, string? Role, string? Metric, string? Significance)
        : IRequest<Result<ResultsView>>;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            RuleFor(q => q.Refresh).OneOf("true", "false");
            RuleFor(q => q.Significance).OneOf("true", "false");
            RuleFor(q => q.Role).OneOf(MetricRules.Roles);
            RuleFor(q => q.Metric).Id("a metric");
        }
    }

    internal sealed class Handler(
        Db db,
        AggregationWorker worker,
        WarehouseReads warehouse,
        ResultsService results,
        ResultsRefresh refresh,
        Instruments instruments
    ) : IRequestHandler<Query, Result<ResultsView>>
    {
        private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(200);

        private const string Sql = $"""
            SELECT e.started_at, e.ended_at + e.windows_run_on AS windows_close_at, clock_timestamp() AS now, r.payload::text AS payload,
                r.as_of,
                f.requested_at AS refresh_requested_at,
                r.last_error, r.last_error_at, COALESCE(r.erased, 0) AS erased,
                   {ResultsService.HasAllMetrics} AS has_all_metrics,
                   (e.plan->>'recommended_sample_size')::bigint IS DISTINCT
                       FROM (r.payload->'progress'->>'needed')::bigint AS is_planned_anew,
                   h.since AS held_since, h.reason AS held_reason, {WarehouseReadView.OfExperiment} AS warehouse,
                   COALESCE(w.as_of > r.as_of, false) AS is_read_since,
                   e.source IS NOT NULL AND {WarehouseReads.IsOutdated} AS is_to_be_read
            FROM experiments e
            LEFT JOIN results r ON r.experiment_id = e.id
            LEFT JOIN result_refreshes f ON f.experiment_id = e.id
            LEFT JOIN warehouse_reads w ON w.experiment_id = e.id
            LEFT JOIN counting_holds h ON h.environment_id = e.environment_id
                AND e.source IS NULL AND EXISTS (SELECT FROM event_batches b WHERE b.environment_id = e.environment_id)
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            """;

        public async Task<Result<ResultsView>> Handle(Query query, CancellationToken cancellationToken)
        {
            var row = await Read(query, cancellationToken);
            if (row is null or { StartedAt: null })
            {
                return row is null ? Problem.NoExperiment : await OfDraft(query, cancellationToken);
            }

            var isRefreshed = query.Refresh == "true" && !row.IsFinal(results.Late);
            if (isRefreshed)
            {
                // If the results have become final or the experiment was reset in the meantime, it is read as it is.
                if (
                    await refresh.Run(query.Scope, query.Id, cancellationToken) is { } refused
                    && refused.Problem != Problem.ResultsFinal
                    && refused.Problem != Problem.NotStarted
                )
                {
                    return refused;
                }

                row = await Read(query, cancellationToken);
            }

            // A refresh has begun a read already.
            if (!isRefreshed && row?.IsDue(results.Late) == true)
            {
                await warehouse.Read(query.Id, isAsked: false, ResultsRefresh.ReadPatience, cancellationToken);
                row = await Read(query, cancellationToken);
            }

            // Null if another release stored them in a format or with words that this one doesn't know.
            var view = StoredJson.TryRead<ResultsView>(row?.Payload);
            if (row is not null && !row.IsFinal(results.Late) && (view is null || row.IsStale(results.Late)))
            {
                await worker.CatchUp(Patience, cancellationToken);
                row = await Compute(query, cancellationToken);
                view = StoredJson.TryRead<ResultsView>(row?.Payload);
            }
            else if (query.Refresh != "true")
            {
                instruments.Results.Add(1, ResultsService.Outcome("cached"));
            }

            switch (row)
            {
                // The experiment was deleted or reset in the meantime.
                case null:
                    return Problem.NoExperiment;
                case { StartedAt: null }:
                    return await OfDraft(query, cancellationToken);
                case { Payload: null, LastError: { } error }:
                    return new ProblemResult(Problem.ResultsFailed, error);
                case { Payload: null }:
                    return Problem.Unavailable;
            }

            if (view is null)
            {
                return Problem.Unavailable;
            }

            return Selected(
                query,
                view with
                {
                    IsFinal = row.IsFinal(results.Late),
                    RefreshRequestedAt = row.RefreshRequestedAt,
                    CountingHeld = CountingHeld.Of(row.HeldSince, row.HeldReason),
                    IdentitiesErased = row.Erased > 0 ? row.Erased : null,
                    LastError = row.LastError,
                    LastErrorAt = row.LastErrorAt,
                    Warehouse = StoredJson.TryRead<WarehouseReadView>(row.Warehouse),
                }
            );
        }

        private async Task<Result<ResultsView>> OfDraft(Query query, CancellationToken ct) =>
            await results.OfDraft(query.Id, ct) is { } none ? Selected(query, none) : Problem.NoExperiment;

        // The metrics that were asked for.
        private static Result<ResultsView> Selected(Query query, ResultsView view)
        {
            var wanted = query.Metric is null ? null : ObjectIds.In(query.Metric);
            return wanted is not null && view.Metrics.All(metric => metric.Metric != wanted)
                ? ProblemResult.Field("metric", "The experiment has no metric with this id.")
                : view with
                {
                    Metrics =
                    [
                        .. view
                            .Metrics.Where(metric =>
                                (query.Role is null || Words.Of(metric.Role) == query.Role) && (wanted is null || metric.Metric == wanted)
                            )
                            .Select(metric => query.Significance == "true" ? metric.With(view.Significance) : metric),
                    ],
                    Significance = null,
                };
        }

        // If another request is computing the first results, wait for them.
        private async Task<ResultsRow?> Compute(Query query, CancellationToken ct)
        {
            for (var attempt = 1; ; attempt++)
            {
                var isDone = await results.Compute(query.Id, isLook: false, ct) == Computation.Done;
                var row = await Read(query, ct);
                if (isDone || row is null or { StartedAt: null } || row.Payload is not null || row.LastError is not null || attempt == 20)
                {
                    return row;
                }

                await Task.Delay(50, ct);
            }
        }

        private Task<ResultsRow?> Read(Query query, CancellationToken ct) =>
            db.Row<ResultsRow>(Sql, new { query.Id, query.Scope.EnvironmentId }, ct);
    }
}
