using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Projects;

/// <summary>Gives an environment another public key. The former one is accepted for some time, so that applications can follow.</summary>
internal static class RotateEnvironmentKey
{
    private const double DefaultHours = 24;
    private const double MostHours = 24 * 90;

    public static void Map(RouteGroupBuilder environments) =>
        environments
            .MapPost(
                "/{environment}/rotate-key",
                context =>
                    context.Act<Body, EnvironmentView>(body => new Command(context.Actor, context.Id, context.RouteId("environment"), body))
            )
            .WithOperation("rotateEnvironmentKey", "Replace the public key of an environment")
            .HasBody<Body>("""{"grace_hours": 24}""", required: false)
            .Returns<EnvironmentView>()
            .FailsWith(Problem.NoEnvironment);

    /// <summary>For how long the former key is accepted; a day without it, and not at all with 0.</summary>
    internal sealed record Body(double? GraceHours = null);

    internal sealed record Command(string Actor, long ProjectId, long Id, Body Body) : IRequest<Result<EnvironmentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() =>
            RuleFor(c => c.Body.GraceHours)
                .Must(hours => hours is null or (>= 0 and <= MostHours))
                .WithMessage("This must be from 0 to 2160.");
    }

    internal sealed class Handler(Db db, AccessCache access) : IRequestHandler<Command, Result<EnvironmentView>>
    {
        // The keys are public, but the audit log need not spread them.
        private const string Sql = $"""
            WITH changed AS (
                UPDATE environments SET former_key = key, former_key_until = clock_timestamp() + @Grace, key = @Key
                WHERE id = @Id AND project_id = @ProjectId AND deleted_at IS NULL
                RETURNING *
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, action, object_type, object_id, after)
                SELECT id, @Actor, 'environment.key_rotated', 'environment', id,
                    jsonb_build_object('former_key_until', instant(former_key_until))
                FROM changed
            )
            SELECT {EnvironmentView.Columns} FROM changed e
            """;

        public async Task<Result<EnvironmentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var environment = await db.Change<EnvironmentView>(
                Sql,
                new
                {
                    command.Actor,
                    command.ProjectId,
                    command.Id,
                    Key = Secret.NewEnvironmentKey(),
                    Grace = TimeSpan.FromHours(command.Body.GraceHours ?? DefaultHours),
                },
                cancellationToken
            );
            access.Forget();
            return environment is null ? Problem.NoEnvironment : environment;
        }
    }
}
