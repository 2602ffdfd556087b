using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>Lists the features of a project with all its environments, newest first.</summary>
internal static class ListProjectFeatures
{
    public static void Map(RouteGroupBuilder project) =>
        project
            .MapGet("/features", context => context.Get(new Query(context.Id, context.Query["q"], context.Page, context.Address)))
            .WithTags("Features")
            .WithOperation("listProjectFeatures", "List the features of a project with all its environments, newest first")
            .HasQuery("q", "Only those with this text in their name, in any case.", "button")
            .HasPaging()
            .Returns<Listing<ProjectFeatureView>>();

    internal sealed record Query(long ProjectId, string? Q, Page Page, Uri Address) : IRequest<Result<Listing<ProjectFeatureView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            this.RulesForPage();
            RuleFor(query => query.Q).Search();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<ProjectFeatureView>>>
    {
        private const string Sql = $"""
            WITH found AS MATERIALIZED (
                SELECT id, created_at FROM features
                WHERE project_id = @ProjectId AND deleted_at IS NULL AND (@Pattern::text IS NULL OR name ILIKE @Pattern)
            ), page AS (
                SELECT id FROM found ORDER BY created_at DESC, id DESC LIMIT @Limit OFFSET @Offset
            )
            SELECT total.count, {ProjectFeatureView.Columns}
            FROM (SELECT count(*) FROM found) total
            LEFT JOIN (page p JOIN features f ON f.id = p.id) ON true
            ORDER BY f.created_at DESC, f.id DESC
            """;

        public async Task<Result<Listing<ProjectFeatureView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.ProjectId,
                    Pattern = Rules.LikePattern(query.Q),
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<ProjectFeatureView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : ProjectFeatureView
        {
            public long Count { get; init; }
        }
    }
}
