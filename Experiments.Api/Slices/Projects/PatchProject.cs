using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Renames a project, or moves it to another organisation.</summary>
internal static class PatchProject
{
    public static void Map(RouteGroupBuilder project) =>
        project
            .MapPatch("/", context => context.Patch<Body, ProjectView>(body => new Command(context.Caller, context.Id, body)))
            .WithOperation("patchProject", "Rename a project, or change its organisation")
            .HasBody<Body>("""{"name": "Shop"}""")
            .Returns<ProjectView>();

    internal sealed record Body
    {
        public Optional<string> Name { get; init; }

        public Optional<string> Organisation { get; init; }
    }

    internal sealed record Command(Caller Caller, long Id, Body Body) : IRequest<Result<ProjectView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.Organisation).RequiredIfPresent(255);
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ProjectView>>
    {
        private const string Sql = """
            WITH former AS (
                SELECT * FROM projects WHERE id = @Id AND deleted_at IS NULL FOR NO KEY UPDATE
            ), wanted AS (
                SELECT id, COALESCE(@Name, name) AS name, COALESCE(@Organisation, organisation) AS organisation, created_at FROM former
            ), changed AS (
                UPDATE projects p SET name = w.name, organisation = w.organisation
                FROM wanted w, former f WHERE p.id = w.id AND (f.name, f.organisation) <> (w.name, w.organisation)
                RETURNING p.*
            ), logged AS (
                INSERT INTO audit_log (project_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT c.id, @Actor, @RequestId, @Address, 'project.updated', 'project', c.id,
                    jsonb_build_object('name', f.name, 'organisation', f.organisation),
                    jsonb_build_object('name', c.name, 'organisation', c.organisation)
                FROM changed c, former f
            )
            SELECT id, name, organisation, created_at FROM wanted
            """;

        public async Task<Result<ProjectView>> Handle(Command command, CancellationToken cancellationToken) =>
            await db.Change<ProjectView>(
                Sql,
                new
                {
                    command.Caller,
                    command.Id,
                    Name = command.Body.Name.Value?.Trim(),
                    Organisation = command.Body.Organisation.Value?.Trim(),
                },
                cancellationToken
            )
                is { } project
                ? project
                : Problem.Forbidden;
    }
}
