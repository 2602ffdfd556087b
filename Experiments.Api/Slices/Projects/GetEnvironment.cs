using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Reads an environment, for whoever has a role in it.</summary>
internal static class GetEnvironment
{
    public static void Map(RouteGroupBuilder projects) =>
        projects
            .MapGet(
                "/{id}/environments/{environment}",
                context => context.Get(new Query(context.Actor, context.Id, context.RouteId("environment")))
            )
            .WithOperation("getEnvironment", "Read an environment")
            .Returns<EnvironmentView>();

    internal sealed record Query(Actor Actor, long ProjectId, long Id) : IRequest<Result<EnvironmentView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<EnvironmentView>>
    {
        private const string Sql = $"""
            WITH {Grants.Sql}
            SELECT {EnvironmentView.Columns} FROM environments e
            WHERE e.id = @Id AND e.project_id = @ProjectId AND e.deleted_at IS NULL AND {Grants.InEnvironment}
            """;

        // Whoever may not see it is not told whether it exists.
        public async Task<Result<EnvironmentView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<EnvironmentView>(
                Sql,
                new
                {
                    Grants = Grants.Of(query.Actor),
                    query.ProjectId,
                    query.Id,
                },
                cancellationToken
            )
                is { } environment
                ? environment
                : Problem.Forbidden;
    }
}
