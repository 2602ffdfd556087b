using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Makes an environment in a project and gives it its key.</summary>
internal static class CreateEnvironment
{
    public static void Map(RouteGroupBuilder project) =>
        project
            .MapPost(
                "/environments",
                context => context.Create<Body, EnvironmentView>(body => new Command(context.Caller, context.Id, body))
            )
            .WithOperation("createEnvironment", "Create an environment in a project")
            .HasBody<Body>("""{"name": "production"}""")
            .Returns<EnvironmentView>(StatusCodes.Status201Created)
            .FailsWith(Problem.EnvironmentNameTaken);

    internal sealed record Body(string? Name = null);

    internal sealed record Command(Caller Caller, long ProjectId, Body Body) : IRequest<Result<EnvironmentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => RuleFor(c => c.Body.Name).Required(255);
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<EnvironmentView>>
    {
        private const string Sql = $"""
            WITH created AS (
                INSERT INTO environments (project_id, name, key)
                SELECT id, @Name, @Key FROM (SELECT id FROM projects WHERE id = @ProjectId AND deleted_at IS NULL FOR NO KEY UPDATE) p
                ON CONFLICT (project_id, name) WHERE deleted_at IS NULL DO NOTHING
                RETURNING *
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT id, @Actor, @RequestId, @Address,
                       'environment.created', 'environment', id, jsonb_build_object('name', name) FROM created
            )
            SELECT {EnvironmentView.Columns} FROM created e
            """;

        public async Task<Result<EnvironmentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var environment = await db.Change<EnvironmentView>(
                Sql,
                new
                {
                    command.Caller,
                    command.ProjectId,
                    Name = command.Body.Name!.Trim(),
                    Key = Secret.NewEnvironmentKey(),
                },
                cancellationToken
            );
            return environment is null ? Problem.EnvironmentNameTaken : environment;
        }
    }
}
