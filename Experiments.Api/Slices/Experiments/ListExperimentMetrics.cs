using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Lists the metrics of an experiment in the order in which they were attached.</summary>
internal static class ListExperimentMetrics
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet("/{id}/metrics", context => context.Get(new Query(context.Environment.Id, context.Id, context.Page, context.Address)))
            .WithOperation("listExperimentMetrics", "List the metrics of an experiment")
            .HasPaging()
            .Returns<Listing<ExperimentMetricView>>()
            .FailsWith(Problem.NoExperiment);

    internal sealed record Query(long EnvironmentId, long Id, Page Page, Uri Address)
        : IRequest<Result<Listing<ExperimentMetricView>>>,
            IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<ExperimentMetricView>>>
    {
        private const string Sql = $"""
            SELECT (SELECT count(*) FROM experiment_metrics l WHERE l.experiment_id = e.id) AS count, {ExperimentMetricView.Columns}
            FROM experiments e
            LEFT JOIN LATERAL (
                SELECT * FROM experiment_metrics m WHERE m.experiment_id = e.id ORDER BY m.id LIMIT @Limit OFFSET @Offset
            ) l ON true
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            ORDER BY l.id
            """;

        public async Task<Result<Listing<ExperimentMetricView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.Id,
                    query.EnvironmentId,
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return rows is [var first, ..]
                ? query.Page.Of<ExperimentMetricView>(query.Address, first.Count, [.. rows.Where(row => row.Id > 0)])
                : Problem.NoExperiment;
        }

        private sealed record Row : ExperimentMetricView
        {
            public long Count { get; init; }
        }
    }
}
