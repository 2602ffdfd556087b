using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Renames an environment, and says which traits of identities it keeps.</summary>
internal static class PatchEnvironment
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
            .WithOperation("patchEnvironment", "Change the name of an environment, or which traits it keeps")
            .HasBody<Body>("""{"name": "staging", "kept_traits": ["plan"]}""")
            .Returns<EnvironmentView>()
            .FailsWith(Problem.NoEnvironment, Problem.EnvironmentNameTaken);

    internal sealed record Body
    {
        public Optional<string> Name { get; init; }

        /// <summary>The keys of the traits that are kept of identities. Others are shown no more, and deleted within hours.</summary>
        [Must(MaxItems = Evaluation.KeptTraits.Most)]
        public Optional<IReadOnlyList<string?>> KeptTraits { get; init; }
    }

    internal sealed record Command(Caller Caller, long ProjectId, long Id, Body Body) : IRequest<Result<EnvironmentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.KeptTraits).NotNullIfPresent();
            RuleFor(c => c.Body.KeptTraits.Value)
                .Must(keys => keys is null || (keys.Count <= KeptTraits.Most && keys.All(KeptTraits.IsKey) && AreDifferent(keys)))
                .WithMessage($"These are {KeptTraits.Most} different keys at most, of 1 to {KeptTraits.LongestKey} characters.")
                .OverridePropertyName("kept_traits");
        }

        private static bool AreDifferent(IReadOnlyList<string?> keys) => keys.Distinct(StringComparer.Ordinal).Count() == keys.Count;
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<EnvironmentView>>
    {
        private const string Sql = $"""
            WITH former AS (
                SELECT * FROM environments WHERE id = @Id AND project_id = @ProjectId AND deleted_at IS NULL FOR UPDATE
            ), wanted AS (
                SELECT id, COALESCE(@Name, name) AS name, COALESCE(@Kept, kept_traits) AS kept_traits, key, former_key_until, created_at
                FROM former
            ), changed AS (
                UPDATE environments e SET name = w.name, kept_traits = w.kept_traits
                FROM wanted w, former f WHERE e.id = w.id AND (f.name, f.kept_traits) <> (w.name, w.kept_traits)
                RETURNING e.*
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT c.id, @Actor, @RequestId, @Address, 'environment.updated', 'environment', c.id,
                    jsonb_build_object('name', f.name, 'kept_traits', f.kept_traits),
                    jsonb_build_object('name', c.name, 'kept_traits', c.kept_traits)
                FROM changed c, former f
            )
            SELECT {EnvironmentView.Columns} FROM wanted e
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
                    Name = command.Body.Name.Value?.Trim(),
                    Kept = command.Body.KeptTraits.Value?.ToArray(),
                },
                cancellationToken
            );
            return environment is null ? Problem.NoEnvironment : environment;
        }
    }
}
