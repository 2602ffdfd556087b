using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Reads a project, for whoever has a role in it or in one of its environments.</summary>
internal static class GetProject
{
    public static void Map(RouteGroupBuilder projects) =>
        projects
            .MapGet("/{id}", context => context.Get(new Query(context.Actor, context.Id)))
            .WithOperation("getProject", "Read a project")
            .Returns<ProjectView>();

    internal sealed record Query(Actor Actor, long Id) : IRequest<Result<ProjectView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<ProjectView>>
    {
        private const string Sql = $"""
            WITH {Grants.Sql}
            SELECT p.id, p.name, p.organisation, p.created_at FROM projects p
            WHERE p.id = @Id AND p.deleted_at IS NULL AND {Grants.InPartOfProject}
            """;

        // Whoever may not see it is not told whether it exists.
        public async Task<Result<ProjectView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<ProjectView>(Sql, new { Grants = Grants.Of(query.Actor), query.Id }, cancellationToken) is { } project
                ? project
                : Problem.Forbidden;
    }
}
