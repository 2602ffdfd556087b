using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.ApiKeys;

/// <summary>Makes a key for an environment, a project or the instance, and shows its secret this once.</summary>
internal static class CreateApiKey
{
    public static void Map(RouteGroupBuilder keys, string scope) =>
        keys.MapPost("/", context => context.Create<Body, Response>(body => new Command(context.Caller, context.Tenant, body)))
            .WithOperation($"create{scope}ApiKey", $"Create an API key of the {scope.ToLowerInvariant()}; the secret is shown only once")
            .HasBody<Body>("""{"name": "deploy", "scopes": ["write"], "expires_at": "2030-01-31T12:00:00Z"}""")
            .Returns<Response>(StatusCodes.Status201Created);

    internal sealed record Body(
        string? Name = null,
        DateTimeOffset? ExpiresAt = null,
        [property: Words("read", "write", "admin")] IReadOnlyList<string?>? Scopes = null
    );

    internal sealed record Command(Caller Caller, TenantScope Scope, Body Body) : IRequest<Result<Response>>;

    /// <summary>The new key with its secret.</summary>
    [Example(
        """
            {"id": 2, "name": "deploy", "key": "exp_shown_this_once", "scopes": ["read", "write"],
                "created_at": "2026-11-22T12:00:00Z", "expires_at": null}
            """
    )]
    internal sealed record Response(
        long Id,
        string Name,
        string Key,
        [property: Words("read", "write", "admin")] string[] Scopes,
        DateTime CreatedAt,
        DateTime? ExpiresAt
    );

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(TimeProvider clock)
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Scopes)
                .Must(scopes => scopes is null || (scopes.Count is > 0 and <= 3 && scopes.All(scope => Roles.KnownScopes.Contains(scope))))
                .WithMessage($"These must be some of: {string.Join(", ", Roles.KnownScopes)}. Without them, a key has all.");
            RuleFor(c => c.Body.ExpiresAt)
                .Must(at => at is null || (at > clock.GetUtcNow() && at.Value.UtcDateTime.Year < 9999))
                .WithMessage("This must be in the future, and before the year 9999.");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Response>>
    {
        private const string Sql = $"""
            WITH created AS (
                INSERT INTO api_keys (name, hash, environment_id, project_id, scopes, created_by, expires_at)
                VALUES (@Name, @Hash, @EnvironmentId, @ProjectId, @Scopes, @Actor, @ExpiresAt)
                RETURNING *
            ), logged AS (
                INSERT INTO audit_log (environment_id, project_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT environment_id, project_id, @Actor, @RequestId, @Address, 'api_key.created', 'api_key', id,
                       jsonb_build_object('name', name, 'of', @Word::text, 'scopes', scopes, 'expires_at', instant(expires_at)) FROM created
            )
            SELECT {ApiKeyView.Columns} FROM created k
            """;

        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var secret = Secret.NewApiKey();
            var key = await db.Change<ApiKeyView>(
                Sql,
                new
                {
                    command.Caller,
                    command.Scope,
                    command.Scope.Word,
                    // Each scope includes those before it.
                    Scopes = Roles.ScopesOf(
                        command.Body.Scopes is { } asked ? Roles.OfScopes([.. asked.Select(scope => scope!)]) : Role.Admin
                    ),
                    Name = command.Body.Name!.Trim(),
                    Hash = Secret.Hash(secret),
                    ExpiresAt = command.Body.ExpiresAt?.UtcDateTime,
                },
                cancellationToken
            );
            return new Response(key!.Id, key.Name, secret, key.Scopes, key.CreatedAt, key.ExpiresAt);
        }
    }
}
