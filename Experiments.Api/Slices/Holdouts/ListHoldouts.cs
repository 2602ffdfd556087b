using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>Lists the holdouts of an environment, newest first.</summary>
internal static class ListHoldouts
{
    public static void Map(RouteGroupBuilder holdouts) =>
        holdouts
            .MapGet("/", context => context.Get(new Query(context.Environment.Id, context.Query["q"], context.Page, context.Address)))
            .WithOperation("listHoldouts", "List holdouts, newest first")
            .HasQuery("q", "Only those with this text in their name, in any case.", "never")
            .HasPaging()
            .Returns<Listing<HoldoutView>>();

    internal sealed record Query(long EnvironmentId, string? Q, Page Page, Uri Address) : IRequest<Result<Listing<HoldoutView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            this.RulesForPage();
            RuleFor(query => query.Q).Search();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<HoldoutView>>>
    {
        private const string Sql = $"""
            WITH found AS MATERIALIZED (
                SELECT h.id, h.created_at
                FROM holdouts h
                WHERE h.environment_id = @EnvironmentId AND h.deleted_at IS NULL AND (@Pattern::text IS NULL OR h.name ILIKE @Pattern)
            ), page AS (
                SELECT id FROM found ORDER BY created_at DESC, id DESC LIMIT @Limit OFFSET @Offset
            )
            SELECT total.count, {HoldoutView.Columns}
            FROM (SELECT count(*) FROM found) total
            LEFT JOIN (page p JOIN holdouts h ON h.id = p.id) ON true
            ORDER BY h.created_at DESC, h.id DESC
            """;

        public async Task<Result<Listing<HoldoutView>>> Handle(Query query, CancellationToken cancellationToken)
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
            return query.Page.Of<HoldoutView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : HoldoutView
        {
            public long Count { get; init; }
        }
    }
}
