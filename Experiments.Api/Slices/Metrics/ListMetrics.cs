using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Metrics;

/// <summary>Lists the metrics of an environment, newest first.</summary>
internal static class ListMetrics
{
    public static void Map(RouteGroupBuilder metrics) =>
        metrics
            .MapGet("/", context => context.Get(new Query(context.Environment.Id, context.Query["q"], context.Page, context.Address)))
            .WithOperation("listMetrics", "List metrics, newest first")
            .HasQuery("q", "Only those with this text in their name, in any case.", "revenue")
            .HasPaging()
            .Returns<Listing<MetricView>>();

    internal sealed record Query(long EnvironmentId, string? Q, Page Page, Uri Address) : IRequest<Result<Listing<MetricView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            this.RulesForPage();
            RuleFor(query => query.Q).Search();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<MetricView>>>
    {
        private const string Sql = $"""
            WITH found AS MATERIALIZED (
                SELECT m.id, m.created_at
                FROM metrics m
                WHERE m.environment_id = @EnvironmentId AND m.deleted_at IS NULL AND (@Pattern::text IS NULL OR m.name ILIKE @Pattern)
            ), page AS (
                SELECT id FROM found ORDER BY created_at DESC, id DESC LIMIT @Limit OFFSET @Offset
            )
            SELECT total.count, {MetricView.Columns}
            FROM (SELECT count(*) FROM found) total
            LEFT JOIN (page p JOIN metrics m ON m.id = p.id) ON true
            ORDER BY m.created_at DESC, m.id DESC
            """;

        public async Task<Result<Listing<MetricView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.EnvironmentId,
                    Pattern = Rules.LikePattern(query.Q),
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<MetricView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : MetricView
        {
            public long Count { get; init; }
        }
    }
}
