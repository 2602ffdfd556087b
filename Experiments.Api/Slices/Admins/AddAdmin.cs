using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Admins;

/// <summary>Gives the subject of a token a role in an environment, a project or the instance.</summary>
internal static class AddAdmin
{
    public static void Map(RouteGroupBuilder admins, string scope) =>
        admins
            .MapPost("/", context => context.Create<Body, AdminView>(body => new Command(context.Caller, context.Tenant, body)))
            .WithOperation($"add{scope}Admin", $"Make the subject of a token an admin of the {scope.ToLowerInvariant()}")
            .HasBody<Body>("""{"subject": "alice@example.com", "role": "editor"}""")
            .Returns<AdminView>(StatusCodes.Status201Created)
            .FailsWith(Problem.AdminExists);

    internal sealed record Body(string? Subject = null, string? Issuer = null, string? Role = null);

    internal sealed record Command(Caller Caller, TenantScope Scope, Body Body) : IRequest<Result<AdminView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(Issuers issuers)
        {
            RuleFor(c => c.Body.Subject)
                .Required(255)
                .Must(subject => string.IsNullOrWhiteSpace(subject) || subject.Length > 255 || Actor.IsSubject(subject))
                .WithMessage("This must be the subject of a token; keys have no further rights.");
            RuleFor(c => c.Body.Role).OneOf(Roles.Words);
            RuleFor(c => c.Body.Issuer)
                .MaxCharacters(255)
                .Must(issuer => issuer is null || issuers.MayBe(issuer))
                .WithMessage($"This must be one of: {string.Join(", ", issuers.WithOperation)}.");
            RuleFor(c => c.Body.Issuer)
                .NotNull()
                .When(_ => issuers.AreSeveral)
                .WithMessage("This is required, since there are several: whose subject it is.");
        }
    }

    internal sealed class Handler(Db db, AccessCache access, Issuers issuers) : IRequestHandler<Command, Result<AdminView>>
    {
        private const string Sql = $"""
            WITH created AS (
                INSERT INTO admins AS a (subject, issuer, environment_id, project_id, role, created_by)
                SELECT @Subject, @Issuer, @EnvironmentId, @ProjectId, @Role, @Actor
                -- Who was added while nobody needed to say whose subject it is, is there already.
                WHERE NOT EXISTS (
                    SELECT FROM admins t
                    WHERE t.subject = @Subject AND @IsOnly AND (t.issuer IS NULL OR @Issuer::text IS NULL) AND {TenantScope.Within})
                ON CONFLICT ON CONSTRAINT admins_subject DO NOTHING
                RETURNING a.*
            ), logged AS (
                INSERT INTO audit_log (environment_id, project_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT environment_id, project_id, @Actor, @RequestId, @Address, 'admin.added', 'admin', id,
                       jsonb_build_object('subject', subject, 'issuer', issuer, 'role', role, 'of', @Word::text,
                           'project', project_id) FROM created
            )
            SELECT {AdminView.Columns} FROM created a
            """;

        public async Task<Result<AdminView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var scope = command.Scope;
            var admin = await db.Change<AdminView>(
                Sql,
                new
                {
                    command.Caller,
                    scope,
                    scope.Word,
                    Role = command.Body.Role ?? Roles.WordOf(Role.Admin),
                    Subject = command.Body.Subject!.Trim(),
                    Issuer = command.Body.Issuer ?? issuers.Only,
                    IsOnly = !issuers.AreSeveral,
                },
                cancellationToken
            );
            // What was remembered may be less than this.
            access.Forget();
            return admin is null ? Problem.AdminExists : admin;
        }
    }
}
