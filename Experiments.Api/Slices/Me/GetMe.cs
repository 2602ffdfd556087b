using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Me;

/// <summary>Tells callers who they are, and what they have been granted.</summary>
internal static class GetMe
{
    // More than any person or key has; whoever manages that many has a role in the instance.
    private const int Most = 1000;

    public static void Map(RouteGroupBuilder api) =>
        api.MapGroup("/me")
            .WithTags("Me")
            .RequireAuthorization(Policies.AnyCaller)
            .MapGet("/", context => context.Get(new Query(context.Actor)))
            .WithOperation("getMe", "Who I am, and my roles")
            .Returns<Response>();

    internal sealed record Query(Actor Actor) : IRequest<Result<Response>>;

    /// <summary>The caller, with the roles that it has been granted. A role in a project applies to its environments as well.</summary>
    [Example(
        """
            {"name": "alice@example.com", "kind": "person", "instance_role": null,
             "projects": [{"id": 1, "name": "Shop", "organisation": "Acme", "role": "editor"}],
             "environments": [{"id": 3, "key": "nYdVidOgY3xmcaFZEvZo5v", "name": "production", "project": 2, "role": "viewer"}]}
            """
    )]
    internal sealed record Response
    {
        /// <summary>As the audit log has it.</summary>
        public required string Name { get; init; }

        /// <summary><c>person</c> or <c>api_key</c>.</summary>
        [Words("person", "api_key")]
        public required string Kind { get; init; }

        /// <summary>The role in the whole instance; null without one.</summary>
        [Words<Role>]
        public required string? InstanceRole { get; init; }

        public required Json<IReadOnlyList<ProjectRole>> Projects { get; init; }

        public required Json<IReadOnlyList<EnvironmentRole>> Environments { get; init; }
    }

    /// <summary>A role in a project.</summary>
    internal sealed record ProjectRole(long Id, string Name, string Organisation, [property: Words<Role>] string Role);

    /// <summary>A role in an environment.</summary>
    internal sealed record EnvironmentRole(long Id, string Key, string Name, long Project, [property: Words<Role>] string Role);

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql = $"""
            WITH {Grants.Sql}
            SELECT @Name::text AS name, CASE WHEN @IsKey THEN 'api_key' ELSE 'person' END AS kind,
                (SELECT role FROM granted WHERE num_nonnulls(environment_id, project_id) = 0
                    ORDER BY {AccessCache.MostFirst} LIMIT 1) AS instance_role,
                (SELECT COALESCE(json_agg(json_build_object('id', id, 'name', name, 'organisation', organisation, 'role', role)
                        ORDER BY id), '[]')
                    FROM (SELECT p.id, p.name, p.organisation, g.role FROM granted g JOIN projects p ON p.id = g.project_id
                        WHERE p.deleted_at IS NULL ORDER BY p.id LIMIT @Most) found)::text AS projects,
                (SELECT COALESCE(json_agg(json_build_object('id', id, 'key', key, 'name', name, 'project', project_id, 'role', role)
                        ORDER BY id), '[]')
                    FROM (SELECT e.id, e.key, e.name, e.project_id, g.role FROM granted g JOIN environments e ON e.id = g.environment_id
                        WHERE e.deleted_at IS NULL ORDER BY e.id LIMIT @Most) found)::text AS environments
            """;

        public async Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken) =>
            (
                await db.Row<Response>(
                    Sql,
                    new
                    {
                        Grants = Grants.Of(query.Actor),
                        query.Actor.Name,
                        Most,
                    },
                    cancellationToken
                )
            )!;
    }
}
