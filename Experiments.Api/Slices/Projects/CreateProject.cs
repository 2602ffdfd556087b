using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Makes a project of an organisation, to hold environments.</summary>
internal static class CreateProject
{
    public static void Map(RouteGroupBuilder projects) =>
        projects
            .MapPost("/", context => context.Create<Body, ProjectView>(body => new Command(context.Caller, body)))
            .WithOperation("createProject", "Create a project (instance admins)")
            .HasBody<Body>("""{"name": "Shop", "organisation": "Acme"}""")
            .Returns<ProjectView>(StatusCodes.Status201Created);

    internal sealed record Body(string? Name = null, string? Organisation = null);

    internal sealed record Command(Caller Caller, Body Body) : IRequest<Result<ProjectView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Organisation).Required(255);
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ProjectView>>
    {
        private const string Sql = """
            WITH created AS (
                INSERT INTO projects (name, organisation) VALUES (@Name, @Organisation) RETURNING id, name, organisation, created_at
            ), logged AS (
                INSERT INTO audit_log (project_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT id, @Actor, @RequestId, @Address,
                       'project.created', 'project', id, jsonb_build_object('name', name, 'organisation', organisation)
                FROM created
            )
            SELECT id, name, organisation, created_at FROM created
            """;

        public async Task<Result<ProjectView>> Handle(Command command, CancellationToken cancellationToken) =>
            (
                await db.Change<ProjectView>(
                    Sql,
                    new
                    {
                        command.Caller,
                        Name = command.Body.Name!.Trim(),
                        Organisation = command.Body.Organisation!.Trim(),
                    },
                    cancellationToken
                )
            )!;
    }
}
