using Experiments.Api.Analysis;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>Reads the results of a metric by the day of the first exposure.</summary>
internal static class GetResultsByDay
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet("/{id}/results/days", context => context.Get(new Query(context.Environment.Id, context.Id, context.Query["metric"])))
            .WithOperation("getResultsByDay", "Results of a metric by the day of the first exposure")
            .HasQuery("metric", "The metric, by its id; without it, the primary one.", "1")
            .WithTimeLimit(FullPasses.Limit)
            .Returns<DaysView>()
            .FailsWith(Problem.NoExperiment, Problem.Invalid, Problem.BackfillPending, Problem.ResultsFailed);

    internal sealed record Query(long EnvironmentId, long Id, string? Metric) : IRequest<Result<DaysView>>;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => RuleFor(q => q.Metric).Id("a metric");
    }

    internal sealed class Handler(Db db, GroupedResults results) : IRequestHandler<Query, Result<DaysView>>
    {
        private const string Sql = MetricChoice.Sql;

        public async Task<Result<DaysView>> Handle(Query query, CancellationToken cancellationToken)
        {
            var choice = await MetricChoice.Of(db, Sql, query.EnvironmentId, query.Id, query.Metric, cancellationToken);
            return choice.Value is null ? choice.Failure! : await results.ByDay(query.Id, ObjectIds.In(query.Metric), cancellationToken);
        }
    }
}
