using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Renames an environment.</summary>
internal static class RenameEnvironment
{
    public static void Map(RouteGroupBuilder environments) =>
        environments
            .MapPatch(
                "/{environment}",
                context =>
                    context.Patch<Body, EnvironmentView>(body => new Command(
                        context.Caller,
                        context.Id,
                        context.RouteId("environment"),
                        body
                    ))
            )
            .WithOperation("renameEnvironment", "Rename an environment")
            .HasBody<Body>("""{"name": "staging"}""")
            .Returns<EnvironmentView>()
            .FailsWith(Problem.NoEnvironment, Problem.EnvironmentNameTaken);

    internal sealed record Body(string? Name = null);

    internal sealed record Command(Caller Caller, long ProjectId, long Id, Body Body) : IRequest<Result<EnvironmentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => RuleFor(c => c.Body.Name).Required(255);
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<EnvironmentView>>
    {
        private const string Sql = $"""
            WITH before AS (
                SELECT * FROM environments WHERE id = @Id AND project_id = @ProjectId AND deleted_at IS NULL FOR UPDATE
            ), changed AS (
                UPDATE environments e SET name = @Name FROM before b WHERE e.id = b.id AND b.name <> @Name RETURNING e.*, b.name AS former
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT id, @Actor, @RequestId, @Address, 'environment.renamed', 'environment', id, jsonb_build_object('name', former),
                    jsonb_build_object('name', name)
                FROM changed
            )
            SELECT {EnvironmentView.Columns}
            FROM (SELECT id, @Name::text AS name, key, former_key_until, created_at FROM before) e
            """;

        // That another environment has the name is found by the unique index.
        public async Task<Result<EnvironmentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var environment = await db.Change<EnvironmentView>(
                Sql,
                new
                {
                    command.Caller,
                    command.ProjectId,
                    command.Id,
                    Name = command.Body.Name!.Trim(),
                },
                cancellationToken
            );
            return environment is null ? Problem.NoEnvironment : environment;
        }
    }
}
