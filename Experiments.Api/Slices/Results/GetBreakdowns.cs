using Experiments.Api.Analysis;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>Reads the results of a metric by the levels of the traits that the experiment is broken down by.</summary>
internal static class GetBreakdowns
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet(
                "/{id}/results/breakdowns",
                context => context.Get(new Query(context.Environment.Id, context.Id, context.Query["metric"], context.Query["trait"]))
            )
            .WithOperation("getBreakdowns", "Results of a metric by the levels of traits")
            .HasQuery("metric", "The metric, by its id; without it, the primary one.", "1")
            .HasQuery("trait", "Only this trait, of those that the experiment is broken down by.", "country")
            .WithTimeLimit(FullPasses.Limit)
            .Returns<BreakdownsView>()
            .FailsWith(Problem.NoExperiment, Problem.Invalid, Problem.BackfillPending, Problem.ResultsFailed);

    internal sealed record Query(long EnvironmentId, long Id, string? Metric, string? Trait) : IRequest<Result<BreakdownsView>>;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => RuleFor(q => q.Metric).Id("a metric");
    }

    internal sealed class Handler(Db db, GroupedResults results) : IRequestHandler<Query, Result<BreakdownsView>>
    {
        private const string Sql = MetricChoice.Sql;

        public async Task<Result<BreakdownsView>> Handle(Query query, CancellationToken cancellationToken)
        {
            var choice = await MetricChoice.Of(db, Sql, query.EnvironmentId, query.Id, query.Metric, cancellationToken);
            if (choice.Value is not { } chosen)
            {
                return choice.Failure!;
            }

            var wanted = chosen.Breakdowns.Index().Where(trait => query.Trait is null || trait.Item == query.Trait).ToList();
            return query.Trait is not null && wanted is []
                ? ProblemResult.Field("trait", "The experiment is not broken down by this trait.")
                : await results.ByLevel(query.Id, ObjectIds.In(query.Metric), wanted, cancellationToken);
        }
    }
}
