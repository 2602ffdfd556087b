using Experiments.Api.Analysis;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>Reads how many identities were first exposed and first converted, by hour or day and variant.</summary>
internal static class GetTimeline
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet(
                "/{id}/results/timeline",
                context => context.Get(new Query(context.Environment.Id, context.Id, context.Query["metric"], context.Query["interval"]))
            )
            .WithOperation("getTimeline", "First exposures and conversions by hour or day")
            .HasQuery("metric", "The metric, by its id; without it, the primary one.", "1")
            .HasQuery("interval", "hour or day; day without it.", "hour", otherwise: "day")
            .WithTimeLimit(FullPasses.Limit)
            .Returns<TimelineView>()
            .FailsWith(Problem.NoExperiment, Problem.Invalid, Problem.BackfillPending, Problem.ResultsFailed);

    internal sealed record Query(long EnvironmentId, long Id, string? Metric, string? Interval) : IRequest<Result<TimelineView>>;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            RuleFor(q => q.Metric).Id("a metric");
            RuleFor(q => q.Interval).OneOf("hour", "day");
        }
    }

    internal sealed class Handler(Db db, MetricTimeline timeline) : IRequestHandler<Query, Result<TimelineView>>
    {
        private const string Sql = MetricChoice.Sql;

        public async Task<Result<TimelineView>> Handle(Query query, CancellationToken cancellationToken)
        {
            var choice = await MetricChoice.Of(db, Sql, query.EnvironmentId, query.Id, query.Metric, cancellationToken);
            return choice.Value is null
                ? choice.Failure!
                : await timeline.Of(query.Id, ObjectIds.In(query.Metric), query.Interval == "hour", cancellationToken);
        }
    }
}
