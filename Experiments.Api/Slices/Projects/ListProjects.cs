using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Lists the projects of the instance, newest first.</summary>
internal static class ListProjects
{
    public static void Map(RouteGroupBuilder projects) =>
        projects
            .MapGet("/", context => context.Get(new Query(context.Page, context.Address)))
            .WithOperation("listProjects", "List projects, newest first (instance admins)")
            .HasPaging()
            .Returns<Listing<ProjectView>>();

    internal sealed record Query(Page Page, Uri Address) : IRequest<Result<Listing<ProjectView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<ProjectView>>>
    {
        private const string Sql = """
            SELECT total.count, p.id, p.name, p.organisation, p.created_at
            FROM (SELECT count(*) FROM projects WHERE deleted_at IS NULL) total
            LEFT JOIN (SELECT * FROM projects WHERE deleted_at IS NULL ORDER BY id DESC LIMIT @Limit OFFSET @Offset) p ON true
            ORDER BY p.id DESC
            """;

        public async Task<Result<Listing<ProjectView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(Sql, new { query.Page.Limit, query.Page.Offset }, cancellationToken);
            return query.Page.Of<ProjectView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : ProjectView
        {
            public long Count { get; init; }
        }
    }
}
