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
            .MapGet("/environments", context => context.Get(new Query(context.Id, context.Page, context.Address)))
            .WithOperation("listEnvironments", "List the environments of a project, newest first")
            .HasPaging()
            .Returns<Listing<EnvironmentView>>();

    internal sealed record Query(long ProjectId, Page Page, Uri Address) : IRequest<Result<Listing<EnvironmentView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<EnvironmentView>>>
    {
        private const string Sql = $"""
            SELECT total.count, {EnvironmentView.Columns}
            FROM (SELECT count(*) FROM environments WHERE project_id = @ProjectId AND deleted_at IS NULL) total
            LEFT JOIN (
                SELECT * FROM environments WHERE project_id = @ProjectId AND deleted_at IS NULL ORDER BY id DESC LIMIT @Limit OFFSET @Offset
            ) e ON true
            ORDER BY e.id DESC
            """;

        public async Task<Result<Listing<EnvironmentView>>> Handle(Query query, CancellationToken cancellationToken)
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
