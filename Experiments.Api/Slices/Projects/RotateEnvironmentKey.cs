using System.Text.Json.Serialization;
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
                    context.Act<Body, EnvironmentView>(body => new Command(
                        context.Caller,
                        context.Id,
                        context.RouteId("environment"),
                        body
                    ))
            )
            .WithOperation("rotateEnvironmentKey", "Replace the public key of an environment")
            .HasBody<Body>("""{"grace_hours": 24}""", required: false)
            .Returns<EnvironmentView>()
            .FailsWith(Problem.NoEnvironment, Problem.KeyJustRotated);

    /// <summary>For how long the former key is accepted; a day without it, and not at all with 0.</summary>
    internal sealed record Body([property: Must(Minimum = 0, Maximum = MostHours, Default = 24)] double? GraceHours = null);

    internal sealed record Command(Caller Caller, long ProjectId, long Id, Body Body) : IRequest<Result<EnvironmentView>>;

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
            WITH target AS (
                SELECT * FROM environments WHERE id = @Id AND project_id = @ProjectId AND deleted_at IS NULL FOR UPDATE
            ), changed AS (
                UPDATE environments e SET former_key = e.key, former_key_until = clock_timestamp() + @Grace, key = @Key
                FROM target t
                -- The key before the last one was promised that time.
                WHERE e.id = t.id AND (t.former_key_until IS NULL OR t.former_key_until <= clock_timestamp() OR @Grace = interval '0')
                RETURNING e.*
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT id, @Actor, @RequestId, @Address, 'environment.key_rotated', 'environment', id,
                    jsonb_build_object('former_key_until', instant(former_key_until))
                FROM changed
            )
            SELECT {EnvironmentView.Columns}, c.id IS NOT NULL AS is_rotated
            FROM target t LEFT JOIN changed c ON true CROSS JOIN LATERAL (
                SELECT COALESCE(c.id, t.id) AS id, t.name, COALESCE(c.key, t.key) AS key, COALESCE(c.former_key_until, t.former_key_until)
                    AS former_key_until, t.kept_traits, t.created_at) e
            """;

        public async Task<Result<EnvironmentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var environment = await db.Change<Row>(
                Sql,
                new
                {
                    command.Caller,
                    command.ProjectId,
                    command.Id,
                    Key = Secret.NewEnvironmentKey(),
                    Grace = TimeSpan.FromHours(command.Body.GraceHours ?? DefaultHours),
                },
                cancellationToken
            );
            access.Forget();
            return environment switch
            {
                null => Problem.NoEnvironment,
                { IsRotated: false } => Problem.KeyJustRotated,
                _ => environment,
            };
        }

        private sealed record Row : EnvironmentView
        {
            [JsonIgnore]
            public bool IsRotated { get; init; }
        }
    }
}
