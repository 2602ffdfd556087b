using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>Lists the features of an environment, newest first.</summary>
internal static class ListFeatures
{
    public static void Map(RouteGroupBuilder features) =>
        features
            .MapGet(
                "/",
                context =>
                    context.Get(new Query(context.Environment.Id, context.Query["q"], context.Query["type"], context.Page, context.Address))
            )
            .WithOperation("listFeatures", "List features, newest first")
            .HasQuery("q", "Only those with this text in their name, in any case.", "button")
            .HasQuery("type", "Only those of this type: standard or multivariate.", "multivariate")
            .HasPaging()
            .Returns<Listing<FeatureView>>();

    internal sealed record Query(long EnvironmentId, string? Q, string? Type, Page Page, Uri Address)
        : IRequest<Result<Listing<FeatureView>>>,
            IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            this.RulesForPage();
            RuleFor(query => query.Q).Search();
            RuleFor(query => query.Type).OneOf("standard", "multivariate");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<FeatureView>>>
    {
        private const string Sql = $"""
            WITH found AS MATERIALIZED (
                SELECT f.id, f.created_at
                FROM environment_features f
                WHERE f.environment_id = @EnvironmentId AND f.deleted_at IS NULL AND (@Pattern::text IS NULL OR f.name ILIKE @Pattern)
                  AND (@Multivariate::boolean IS NULL OR (f.options <> '[]') = @Multivariate)
            ), page AS (
                SELECT id FROM found ORDER BY created_at DESC, id DESC LIMIT @Limit OFFSET @Offset
            )
            SELECT total.count, {FeatureView.Columns}
            FROM (SELECT count(*) FROM found) total
            LEFT JOIN (page p JOIN environment_features f ON f.id = p.id AND f.environment_id = @EnvironmentId) ON true
            ORDER BY f.created_at DESC, f.id DESC
            """;

        public async Task<Result<Listing<FeatureView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.EnvironmentId,
                    Multivariate = query.Type is null ? (bool?)null : query.Type == "multivariate",
                    Pattern = Rules.LikePattern(query.Q),
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<FeatureView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : FeatureView
        {
            public long Count { get; init; }
        }
    }
}
