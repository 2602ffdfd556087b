using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Lists the environments of a project that the caller has a role in, newest first, with their keys.</summary>
internal static class ListEnvironments
{
    public static void Map(RouteGroupBuilder projects) =>
        projects
            .MapGet("/{id}/environments", context => context.Get(new Query(context.Actor, context.Id, context.Page, context.Address)))
            .WithOperation("listEnvironments", "List the environments of a project that I may see, newest first")
            .HasPaging()
            .Returns<Listing<EnvironmentView>>();

    internal sealed record Query(Actor Actor, long ProjectId, Page Page, Uri Address) : IRequest<Result<Listing<EnvironmentView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<EnvironmentView>>>
    {
        private const string Sql = $"""
            WITH {Grants.Sql}, visible AS (
                SELECT e.* FROM environments e WHERE e.project_id = @ProjectId AND e.deleted_at IS NULL AND {Grants.InEnvironment}
            )
            SELECT total.count, EXISTS (SELECT FROM projects p WHERE p.id = @ProjectId AND p.deleted_at IS NULL AND {Grants.InProject})
                AS is_in_project, {EnvironmentView.Columns}
            FROM (SELECT count(*) FROM visible) total
            LEFT JOIN (SELECT * FROM visible ORDER BY id DESC LIMIT @Limit OFFSET @Offset) e ON true
            ORDER BY e.id DESC
            """;

        public async Task<Result<Listing<EnvironmentView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    Grants = Grants.Of(query.Actor),
                    query.ProjectId,
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            // Whoever may see nothing of it is not told whether it exists.
            return rows[0] is { Count: 0, IsInProject: false }
                ? Problem.Forbidden
                : query.Page.Of<EnvironmentView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : EnvironmentView
        {
            public long Count { get; init; }

            public bool IsInProject { get; init; }
        }
    }
}
