using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Lists the environments of a project, newest first, with their keys.</summary>
internal static class ListEnvironments
{
    public static void Map(RouteGroupBuilder project) =>
        project
            .MapGet(
                "/environments",
                (ObjectId id, RequestContext context) => context.Get(new Query(id.Value, context.Page, context.Address))
            )
            .Named("listEnvironments", "List the environments of a project, newest first")
            .AsksForPage()
            .Answers<Listing<EnvironmentView>>();

    internal sealed record Query(long ProjectId, Page Page, Uri Address) : IRequest<Outcome<Listing<EnvironmentView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Outcome<Listing<EnvironmentView>>>
    {
        private const string Sql = """
            SELECT total.count, e.id, e.name, e.key, e.created_at
            FROM (SELECT count(*) FROM environments WHERE project_id = @ProjectId) total
            LEFT JOIN (SELECT * FROM environments WHERE project_id = @ProjectId ORDER BY id DESC LIMIT @Limit OFFSET @Offset) e ON true
            ORDER BY e.id DESC
            """;

        public async Task<Outcome<Listing<EnvironmentView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.ProjectId,
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<EnvironmentView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : EnvironmentView
        {
            public long Count { get; init; }
        }
    }
}
