using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Lists the projects that the caller has a role in, or in an environment of which, newest first.</summary>
internal static class ListProjects
{
    public static void Map(RouteGroupBuilder projects) =>
        projects
            .MapGet("/", context => context.Get(new Query(context.Actor, context.Page, context.Address)))
            .WithOperation("listProjects", "List the projects that I may see, newest first")
            .HasPaging()
            .Returns<Listing<ProjectView>>();

    internal sealed record Query(Actor Actor, Page Page, Uri Address) : IRequest<Result<Listing<ProjectView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<ProjectView>>>
    {
        private const string Sql = $"""
            WITH {Grants.Sql}, visible AS (
                SELECT p.* FROM projects p WHERE p.deleted_at IS NULL AND {Grants.InPartOfProject}
            )
            SELECT total.count, p.id, p.name, p.organisation, p.created_at
            FROM (SELECT count(*) FROM visible) total
            LEFT JOIN (SELECT * FROM visible ORDER BY id DESC LIMIT @Limit OFFSET @Offset) p ON true
            ORDER BY p.id DESC
            """;

        public async Task<Result<Listing<ProjectView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    Grants = Grants.Of(query.Actor),
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<ProjectView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : ProjectView
        {
            public long Count { get; init; }
        }
    }
}
