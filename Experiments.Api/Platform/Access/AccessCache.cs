using System.Security.Claims;
using System.Security.Cryptography;
using Experiments.Api.Platform.Data;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Caching.Memory;
using Npgsql;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// Answers who a key is and what a caller may manage. What it grants is remembered for less than a second, so that a request costs
/// one round trip to the database; what it denies is asked again each time. A revocation is felt here at once, and within
/// <see cref="Lifetime"/> on other replicas, without anything that could fail to be announced.
/// </summary>
internal sealed class AccessCache(NpgsqlDataSource source, TimeProvider clock) : IDisposable
{
    public static readonly TimeSpan Lifetime = TimeSpan.FromMilliseconds(900);

    // Whether an admin "a" is the caller.
    public const string IsCaller =
        "a.subject = @Subject AND (rtrim(a.issuer, '/') = rtrim(@Issuer, '/') OR (a.issuer IS NULL AND @IsOfOnlyIssuer))";

    // Whoever has several roles has the highest of them.
    public const string MostFirst = "array_position(ARRAY['admin', 'editor', 'viewer'], role)";

    private readonly MemoryCache _granted = new(new MemoryCacheOptions { SizeLimit = 20_000, Clock = new MonotonicClock(clock) });

    /// <summary>The caller with this API key if it is cached; otherwise null, as to the one request that must renew it.</summary>
    public AuthenticateResult? Remembered(string secret) => Remembered<AuthenticateResult>(secret);

    /// <summary>
    /// The environment with this key if it is cached that the caller may manage it; otherwise null, as to the one request that must
    /// renew it.
    /// </summary>
    public EnvironmentScope? Remembered(Actor actor, string environmentKey) => Remembered<EnvironmentScope>((actor.Name, environmentKey));

    /// <summary>The caller that holds <paramref name="secret"/>, or null when no key in force has it.</summary>
    public async ValueTask<AuthenticateResult?> Identify(string secret, CancellationToken ct)
    {
        if (Current<AuthenticateResult>(secret) is { } remembered)
        {
            return remembered;
        }

        var hash = Secret.Hash(secret);
        // The index finds keys by half of the hash; only the comparison of the whole, in constant time, decides.
        var candidates = await new Db(source).Rows<KeyRow>(
            """
            WITH found AS (
                SELECT * FROM api_keys
                WHERE substring(hash FROM 1 FOR 16) = @Half AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > clock_timestamp())
            ), used AS (
                -- Once a minute, and never by waiting for somebody else.
                UPDATE api_keys k SET last_used_at = clock_timestamp()
                FROM (
                    SELECT id FROM api_keys WHERE id IN (SELECT id FROM found) AND hash = @hash
                        AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
                    FOR UPDATE SKIP LOCKED
                ) stale
                WHERE k.id = stale.id
            )
            SELECT id, hash, environment_id, project_id, scopes, extract(epoch FROM expires_at - clock_timestamp())::float8 AS seconds_left
            FROM found
            """,
            new { Half = hash[..16], hash },
            ct
        );
        var key = candidates.FirstOrDefault(candidate => CryptographicOperations.FixedTimeEquals(candidate.Hash, hash));
        if (key is null)
        {
            return null;
        }

        var actor = new Actor(
            $"{Actor.KeyPrefix}{key.Id}",
            key is { EnvironmentId: null, ProjectId: null },
            key.EnvironmentId,
            key.ProjectId
        )
        {
            KeyRole = Roles.OfScopes(key.Scopes),
        };
        var principal = new ClaimsPrincipal(new ActorIdentity(actor, ApiKeyAuthentication.Scheme));
        return Remember(
            secret,
            AuthenticateResult.Success(new AuthenticationTicket(principal, ApiKeyAuthentication.Scheme)),
            key.SecondsLeft is { } left && left < Lifetime.TotalSeconds ? TimeSpan.FromSeconds(left) : Lifetime
        );
    }

    /// <summary>The environment with this key, or null when there is none or the caller has no role in it.</summary>
    public async ValueTask<EnvironmentScope?> Environment(Actor actor, string environmentKey, CancellationToken ct)
    {
        if (Current<EnvironmentScope>((actor.Name, environmentKey)) is { } remembered)
        {
            return remembered;
        }

        var scope = await new Db(source).Row<EnvironmentScope>(
            $"""
            SELECT e.id, e.key, p.name AS project, p.organisation, r.role, COALESCE(d.role IN ('editor', 'admin'), false) AS may_define
            FROM environments e
            JOIN projects p ON p.id = e.project_id
            CROSS JOIN LATERAL (
                SELECT CASE WHEN @IsInstanceKey OR e.id = @EnvironmentId OR p.id = @ProjectId THEN @KeyRole::text ELSE (
                    SELECT a.role FROM admins a
                    WHERE {IsCaller}
                      AND (a.environment_id = e.id OR a.project_id = p.id OR num_nonnulls(a.environment_id, a.project_id) = 0)
                    ORDER BY {MostFirst} LIMIT 1) END AS role
            ) r
            CROSS JOIN LATERAL (
                SELECT CASE WHEN @IsInstanceKey OR p.id = @ProjectId THEN @KeyRole::text ELSE (
                    SELECT a.role FROM admins a
                    WHERE {IsCaller} AND (a.project_id = p.id OR num_nonnulls(a.environment_id, a.project_id) = 0)
                    ORDER BY {MostFirst} LIMIT 1) END AS role
            ) d
            WHERE (e.key = @environmentKey OR (e.former_key = @environmentKey AND e.former_key_until > clock_timestamp()))
              AND e.deleted_at IS NULL AND p.deleted_at IS NULL AND r.role IS NOT NULL
            """,
            new
            {
                actor.Subject,
                actor.Issuer,
                actor.IsOfOnlyIssuer,
                actor.IsInstanceKey,
                actor.EnvironmentId,
                actor.ProjectId,
                KeyRole = Roles.WordOf(actor.KeyRole),
                environmentKey,
            },
            ct
        );
        return scope is null ? null : Remember((actor.Name, environmentKey), scope, Lifetime);
    }

    /// <summary>
    /// The caller's role in the project or, where <paramref name="projectId"/> is null, in the instance; null where it has none.
    /// </summary>
    public async ValueTask<Role?> RoleIn(Actor actor, long? projectId, CancellationToken ct)
    {
        var found = await new Db(source).Row<Found>(
            $"""
            SELECT CASE WHEN @projectId::bigint IS NOT NULL AND NOT EXISTS (
                            SELECT FROM projects WHERE id = @projectId AND deleted_at IS NULL) THEN NULL
                        WHEN @IsInstanceKey OR @projectId = @ProjectOfKey THEN @KeyRole::text
                        ELSE (SELECT a.role FROM admins a
                              WHERE {IsCaller} AND (a.project_id = @projectId OR num_nonnulls(a.environment_id, a.project_id) = 0)
                              ORDER BY {MostFirst} LIMIT 1) END AS role
            """,
            new
            {
                actor.Subject,
                actor.Issuer,
                actor.IsOfOnlyIssuer,
                actor.IsInstanceKey,
                ProjectOfKey = actor.ProjectId,
                KeyRole = Roles.WordOf(actor.KeyRole),
                projectId,
            },
            ct
        );
        return Roles.Parse(found!.Role);
    }

    /// <summary>Forgets all that was granted, after something was taken away.</summary>
    public void Forget() => _granted.Clear();

    public void Dispose() => _granted.Dispose();

    private T? Remembered<T>(object key)
        where T : class => _granted.Get<Grant<T>>(key) is { } grant && (!grant.IsDue(clock) || !grant.TakeRenewal()) ? grant.Value : null;

    private T? Current<T>(object key)
        where T : class => _granted.Get<Grant<T>>(key) is { } grant && !grant.IsDue(clock) ? grant.Value : null;

    private T Remember<T>(object key, T value, TimeSpan limit)
        where T : class
    {
        if (limit > TimeSpan.Zero)
        {
            var grant = new Grant<T>(value, clock.GetTimestamp() + (long)(0.9 * limit.TotalSeconds * clock.TimestampFrequency));
            _granted.Set(key, grant, new MemoryCacheEntryOptions { AbsoluteExpirationRelativeToNow = limit, Size = 1 });
        }

        return value;
    }

    // In the last tenth of its life, one request renews it while the others still use it. Otherwise all of them would ask at once.
    private sealed class Grant<T>(T value, long renewal)
    {
        private int _isTaken;

        public T Value => value;

        public bool IsDue(TimeProvider clock) => clock.GetTimestamp() >= renewal;

        public bool TakeRenewal() => Interlocked.Exchange(ref _isTaken, 1) == 0;
    }

    private sealed record KeyRow
    {
        public long Id { get; init; }

        public byte[] Hash { get; init; } = [];

        public long? EnvironmentId { get; init; }

        public long? ProjectId { get; init; }

        public string[] Scopes { get; init; } = [];

        // By the database's clock, which is the same for all replicas.
        public double? SecondsLeft { get; init; }
    }

    private sealed record Found(string? Role);
}
