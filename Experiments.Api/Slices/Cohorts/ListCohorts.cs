using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Cohorts;

/// <summary>Lists the cohorts of an environment, newest first.</summary>
internal static class ListCohorts
{
    public static void Map(RouteGroupBuilder cohorts) =>
        cohorts
            .MapGet("/", context => context.Get(new Query(context.Environment.Id, context.Query["q"], context.Page, context.Address)))
            .WithOperation("listCohorts", "List cohorts, newest first")
            .HasQuery("q", "Only those with this text in their name, in any case.", "green")
            .HasPaging()
            .Returns<Listing<CohortView>>();

    internal sealed record Query(long EnvironmentId, string? Q, Page Page, Uri Address) : IRequest<Result<Listing<CohortView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            this.RulesForPage();
            RuleFor(query => query.Q).Search();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<CohortView>>>
    {
        private const string Sql = $"""
            WITH found AS MATERIALIZED (
                SELECT c.id, c.created_at
                FROM cohorts c
                WHERE c.environment_id = @EnvironmentId AND (@Pattern::text IS NULL OR c.name ILIKE @Pattern)
            ), page AS (
                SELECT id FROM found ORDER BY created_at DESC, id DESC LIMIT @Limit OFFSET @Offset
            )
            SELECT total.count AS total, {CohortView.Columns}
            FROM (SELECT count(*) FROM found) total
            LEFT JOIN (page p JOIN cohorts c ON c.id = p.id) ON true
            ORDER BY c.created_at DESC, c.id DESC
            """;

        public async Task<Result<Listing<CohortView>>> Handle(Query query, CancellationToken cancellationToken)
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
            return query.Page.Of<CohortView>(query.Address, rows[0].Total, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : CohortView
        {
            public long Total { get; init; }
        }
    }
}
