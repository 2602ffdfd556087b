using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.ApiKeys;

/// <summary>Makes a key that is an admin of the environment, and shows its secret this once.</summary>
internal static class CreateApiKey
{
    public static void Map(RouteGroupBuilder keys) =>
        keys.MapPost("/", context => context.Create<Body, Response>(body => new Command(context.Scope, body)))
            .WithOperation("createApiKey", "Create an API key; the secret is shown only once")
            .HasBody<Body>("""{"name": "deploy", "expires_at": "2030-01-31T12:00:00Z"}""")
            .Returns<Response>(StatusCodes.Status201Created);

    internal sealed record Body(string? Name = null, DateTimeOffset? ExpiresAt = null);

    internal sealed record Command(CommandScope Scope, Body Body) : IRequest<Result<Response>>;

    /// <summary>The new key with its secret.</summary>
    [Example(
        """
            {"id": 2, "name": "deploy", "key": "exp_shown_this_once", "created_at": "2026-11-22T12:00:00Z", "expires_at": null}
            """
    )]
    internal sealed record Response(long Id, string Name, string Key, DateTime CreatedAt, DateTime? ExpiresAt);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(TimeProvider clock)
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.ExpiresAt)
                .Must(at => at is null || (at > clock.GetUtcNow() && at.Value.UtcDateTime.Year < 9999))
                .WithMessage("This must be in the future, and before the year 9999.");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Response>>
    {
        private const string Sql = $"""
            WITH created AS (
                INSERT INTO api_keys (name, hash, environment_id, created_by, expires_at)
                VALUES (@Name, @Hash, @EnvironmentId, @Actor, @ExpiresAt)
                RETURNING *
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, action, object_type, object_id, after)
                SELECT environment_id, @Actor, 'api_key.created', 'api_key', id,
                       jsonb_build_object('name', name, 'expires_at', instant(expires_at)) FROM created
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
                    command.Scope.EnvironmentId,
                    command.Scope.Actor,
                    Name = command.Body.Name!.Trim(),
                    Hash = Secret.Hash(secret),
                    ExpiresAt = command.Body.ExpiresAt?.UtcDateTime,
                },
                cancellationToken
            );
            return new Response(key!.Id, key.Name, secret, key.CreatedAt, key.ExpiresAt);
        }
    }
}
