using System.Security.Claims;
using System.Security.Cryptography;
using Experiments.Api.Platform.Data;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Caching.Memory;
using Npgsql;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// Answers who a key is and what a caller may manage. What it grants is remembered for a few seconds, so that a request costs
/// one round trip to the database; what it denies is asked again each time. A revocation is felt here at once, and within
/// <see cref="Lifetime"/> on other replicas.
/// </summary>
internal sealed class AccessCache(NpgsqlDataSource source, TimeProvider clock) : IDisposable
{
    public static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(3);

    // Whether an admin "a" is the caller.
    private const string IsCaller =
        "a.subject = @Subject AND (rtrim(a.issuer, '/') = rtrim(@Issuer, '/') OR (a.issuer IS NULL AND @IsOfOnlyIssuer))";

    private readonly MemoryCache _granted = new(new MemoryCacheOptions { SizeLimit = 20_000, Clock = new MonotonicClock(clock) });

    /// <summary>The caller with this API key if it is cached; otherwise null.</summary>
    public AuthenticateResult? Remembered(string secret) => _granted.Get<AuthenticateResult>(secret);

    /// <summary>The environment with this key if it is cached that the caller is an admin of it; otherwise null.</summary>
    public EnvironmentScope? Remembered(Actor actor, string environmentKey) => _granted.Get<EnvironmentScope>((actor.Name, environmentKey));

    /// <summary>The caller that holds <paramref name="secret"/>, or null when no key in force has it.</summary>
    public async ValueTask<AuthenticateResult?> Identify(string secret, CancellationToken ct)
    {
        if (Remembered(secret) is { } remembered)
        {
            return remembered;
        }

        var hash = Secret.Hash(secret);
        // The index finds keys by half of the hash; only the comparison of the whole, in constant time, decides.
        var candidates = await new Db(source).Rows<KeyRow>(
            """
            SELECT id, hash, environment_id, extract(epoch FROM expires_at - clock_timestamp())::float8 AS seconds_left
            FROM api_keys
            WHERE substring(hash FROM 1 FOR 16) = @Half AND revoked_at IS NULL
                AND (expires_at IS NULL OR expires_at > clock_timestamp())
            """,
            new { Half = hash[..16] },
            ct
        );
        var key = candidates.FirstOrDefault(candidate => CryptographicOperations.FixedTimeEquals(candidate.Hash, hash));
        if (key is null)
        {
            return null;
        }

        var actor = new Actor($"{Actor.KeyPrefix}{key.Id}", key.EnvironmentId is null, key.EnvironmentId);
        var principal = new ClaimsPrincipal(new ActorIdentity(actor, ApiKeyAuthentication.Scheme));
        return Remember(
            secret,
            AuthenticateResult.Success(new AuthenticationTicket(principal, ApiKeyAuthentication.Scheme)),
            key.SecondsLeft is { } left && left < Lifetime.TotalSeconds ? TimeSpan.FromSeconds(left) : Lifetime
        );
    }

    /// <summary>The environment with this key, or null when there is none or the caller is not an admin of it.</summary>
    public async ValueTask<EnvironmentScope?> Environment(Actor actor, string environmentKey, CancellationToken ct)
    {
        if (Remembered(actor, environmentKey) is { } remembered)
        {
            return remembered;
        }

        var scope = await new Db(source).Row<EnvironmentScope>(
            $"""
            SELECT e.id, e.key, p.name AS project, p.organisation
            FROM environments e
            JOIN projects p ON p.id = e.project_id
            WHERE e.key = @environmentKey
              AND (@IsInstanceKey OR e.id = @EnvironmentId OR EXISTS (
                  SELECT FROM admins a
                  WHERE {IsCaller}
                    AND (a.environment_id = e.id OR a.project_id = p.id OR num_nonnulls(a.environment_id, a.project_id) = 0)))
            """,
            new
            {
                actor.Subject,
                actor.Issuer,
                actor.IsOfOnlyIssuer,
                actor.IsInstanceKey,
                actor.EnvironmentId,
                environmentKey,
            },
            ct
        );
        return scope is null ? null : Remember((actor.Name, environmentKey), scope, Lifetime);
    }

    /// <summary>Whether the caller is an admin of the project, or, where <paramref name="projectId"/> is null, of the instance.</summary>
    public async ValueTask<bool> Administers(Actor actor, long? projectId, CancellationToken ct)
    {
        var found = await new Db(source).Row<Found>(
            $"""
            SELECT (@projectId::bigint IS NULL OR EXISTS (SELECT FROM projects WHERE id = @projectId))
               AND (@IsInstanceKey OR EXISTS (
                   SELECT FROM admins a
                   WHERE {IsCaller}
                     AND (a.project_id = @projectId OR num_nonnulls(a.environment_id, a.project_id) = 0))) AS yes
            """,
            new
            {
                actor.Subject,
                actor.Issuer,
                actor.IsOfOnlyIssuer,
                actor.IsInstanceKey,
                projectId,
            },
            ct
        );
        return found!.Yes;
    }

    /// <summary>Forgets all that was granted, after something was taken away.</summary>
    public void Forget() => _granted.Clear();

    public void Dispose() => _granted.Dispose();

    private T Remember<T>(object key, T value, TimeSpan limit) =>
        limit <= TimeSpan.Zero
            ? value
            : _granted.Set(key, value, new MemoryCacheEntryOptions { AbsoluteExpirationRelativeToNow = limit, Size = 1 });

    private sealed record KeyRow
    {
        public long Id { get; init; }

        public byte[] Hash { get; init; } = [];

        public long? EnvironmentId { get; init; }

        // By the database's clock, which is the same for all replicas.
        public double? SecondsLeft { get; init; }
    }

    private sealed record Found(bool Yes);
}
