using Experiments.Api.Analysis;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>
/// What the results of some experiments come to, as they were computed last: a line for each, for lists. Experiments without results are
/// not among them.
/// </summary>
internal static class ListSummaries
{
    private const int Most = 100;

    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet("/summaries", context => context.Get(new Query(context.Environment.Id, [.. context.Query["id"]])))
            .WithOperation("listSummaries", "Read what the results of some experiments come to")
            .HasQuery("id", $"The experiments, by their ids; up to {Most}.", "1", repeatable: true, required: true)
            .Returns<Response>()
            .FailsWith(Problem.Invalid);

    internal sealed record Query(long EnvironmentId, string?[] Id) : IRequest<Result<Response>>;

    /// <summary>In no particular order.</summary>
    /// <param name="Results">A summary for each experiment that has results.</param>
    internal sealed record Response(IReadOnlyList<Summary> Results);

    /// <summary>What the results of an experiment come to.</summary>
    /// <param name="Experiment">Its id.</param>
    /// <param name="AsOf">Up to when events are counted.</param>
    /// <param name="Total">How many identities count.</param>
    /// <param name="Action">What is recommended.</param>
    /// <param name="Variant">The variant that it is recommended of, if it is of one.</param>
    /// <param name="IsSplitHealthy">Whether identities arrived in the configured proportions; null if that is not known.</param>
    /// <param name="IsGuardrailHarmed">Whether a variant harms a guardrail.</param>
    /// <param name="Primary">The primary metric, on the recommended variant or else on the first; null without one.</param>
    internal sealed record Summary(
        long Experiment,
        DateTime AsOf,
        long Total,
        RecommendedAction Action,
        string? Variant,
        bool? IsSplitHealthy,
        bool IsGuardrailHarmed,
        PrimaryEffect? Primary
    );

    /// <summary>The effect of a variant on the primary metric.</summary>
    internal sealed record PrimaryEffect(
        long Metric,
        string Name,
        ExpectedDirection ExpectedDirection,
        string Key,
        Verdict Verdict,
        VerdictReason Reason,
        double? Effect,
        FrequentistView? Frequentist,
        SequentialView? Sequential,
        BayesianView? Bayesian
    );

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            RuleFor(query => query.Id).Must(ids => ids.Length is >= 1 and <= Most).WithMessage($"This is required: 1 to {Most} ids.");
            RuleForEach(query => query.Id).Id("an experiment");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql = """
            SELECT e.id, r.payload::text AS payload
            FROM experiments e JOIN results r ON r.experiment_id = e.id
            WHERE e.environment_id = @EnvironmentId AND e.id = ANY (@ids) AND e.deleted_at IS NULL AND r.payload IS NOT NULL
            """;

        public async Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new { query.EnvironmentId, ids = query.Id.Select(id => ObjectIds.In(id!)!.Value).Distinct().ToArray() },
                cancellationToken
            );
            return new Response([.. rows.Select(SummaryOf).OfType<Summary>()]);
        }

        // What this release cannot read is left out; the results themselves are then computed again.
        private static Summary? SummaryOf(Row row) =>
            StoredJson.TryRead<ResultsView>(row.Payload) is not { } results
                ? null
                : new(
                    row.Id,
                    results.AsOf,
                    results.Total,
                    results.Recommendation.Action,
                    results.Recommendation.Variant,
                    results.SampleRatio.IsHealthy,
                    results.Metrics.Any(metric => metric.Treatments.Any(arm => arm.Reason == VerdictReason.GuardrailHarmed)),
                    Primary(results)
                );

        private static PrimaryEffect? Primary(ResultsView results) =>
            results.Metrics.FirstOrDefault(metric => metric.Role == MetricRole.Primary) is not { Treatments: [var first, ..] } metric
                ? null
                : Effect(metric, metric.Treatments.FirstOrDefault(arm => arm.Key == results.Recommendation.Variant) ?? first);

        private static PrimaryEffect Effect(MetricResult metric, TreatmentResult arm) =>
            new(
                metric.Metric,
                metric.Name,
                metric.ExpectedDirection,
                arm.Key,
                arm.Verdict,
                arm.Reason,
                arm.Effect,
                arm.Frequentist,
                arm.Sequential,
                arm.Bayesian
            );

        private sealed record Row(long Id, string Payload);
    }
}
