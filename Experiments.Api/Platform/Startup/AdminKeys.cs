using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Platform.Startup;

/// <summary>Admin keys of the whole instance: how the first one is created, and how to create more.</summary>
internal sealed class AdminKeys(NpgsqlDataSource source)
{
    /// <summary>Creates a key and returns its secret, which is not stored anywhere.</summary>
    public async Task<string> Create(string name, CancellationToken ct)
    {
        var secret = Secret.NewApiKey();
        await Write(name, secret, replaces: false, ct);
        return secret;
    }

    /// <summary>Sets the key of this name to <paramref name="secret"/>, replacing any other. Does nothing if it already is.</summary>
    public Task Set(string name, string secret, CancellationToken ct) => Write(name, secret, replaces: true, ct);

    /// <summary>Whether nobody can manage the instance.</summary>
    public async Task<bool> None(CancellationToken ct) =>
        (
            await new Db(source).Row<Found>(
                """
                SELECT NOT EXISTS (SELECT FROM api_keys
                    WHERE environment_id IS NULL AND project_id IS NULL AND revoked_at IS NULL AND 'admin' = ANY (scopes)
                        AND (expires_at IS NULL OR expires_at > now()))
                   AND NOT EXISTS (SELECT FROM admins WHERE num_nonnulls(environment_id, project_id) = 0 AND role = 'admin') AS yes
                """,
                null,
                ct
            )
        )!.Yes;

    /// <summary>The keys of the instance, newest first, a line for each.</summary>
    public async Task<IReadOnlyList<string>> List(CancellationToken ct) =>
        [
            .. (
                await new Db(source).Rows<Listed>(
                    """
                    SELECT id::text || '  ' || name || '  scopes ' || array_to_string(scopes, ',') || ', by ' || created_by || ' at '
                        || instant(created_at) || COALESCE(', expires at ' || instant(expires_at), '')
                        || COALESCE(', last used at ' || instant(last_used_at), ', never used')
                        || COALESCE(', revoked at ' || instant(revoked_at), '') AS line
                    FROM api_keys WHERE environment_id IS NULL AND project_id IS NULL ORDER BY id DESC
                    """,
                    null,
                    ct
                )
            ).Select(key => key.Line),
        ];

    /// <summary>Revokes the keys of the instance that have this name.</summary>
    public async Task RevokeNamed(string name, CancellationToken ct)
    {
        foreach (
            var key in await new Db(source).Rows<Numbered>(
                "SELECT id FROM api_keys WHERE name = @name AND environment_id IS NULL AND project_id IS NULL AND revoked_at IS NULL",
                new { name },
                ct
            )
        )
        {
            await Revoke(key.Id, ct);
        }
    }

    /// <summary>Revokes a key of the instance. False if there is no such key in force.</summary>
    public async Task<bool> Revoke(long id, CancellationToken ct) =>
        (
            await new Db(source).Change<Found>(
                """
                WITH revoked AS (
                    UPDATE api_keys SET revoked_at = clock_timestamp()
                    WHERE id = @id AND environment_id IS NULL AND project_id IS NULL AND revoked_at IS NULL
                    RETURNING *
                ), logged AS (
                    INSERT INTO audit_log (actor, action, object_type, object_id, before)
                    SELECT 'service', 'api_key.revoked', 'api_key', id, jsonb_build_object('name', name, 'of', 'instance') FROM revoked
                )
                SELECT EXISTS (SELECT FROM revoked) AS yes
                """,
                new { id },
                ct
            )
        )!.Yes;

    private async Task Write(string name, string secret, bool replaces, CancellationToken ct) =>
        await new Db(source).Change<Found>(
            """
            WITH replaced AS (
                UPDATE api_keys SET revoked_at = clock_timestamp()
                WHERE environment_id IS NULL AND project_id IS NULL AND name = @name AND hash <> @Hash AND revoked_at IS NULL AND @replaces
                RETURNING *
            ), created AS (
                INSERT INTO api_keys (name, hash, created_by)
                VALUES (@name, @Hash, 'service')
                -- Replicas that start at the same time set the same key.
                ON CONFLICT (hash) WHERE revoked_at IS NULL DO NOTHING
                RETURNING *
            ), logged AS (
                INSERT INTO audit_log (actor, action, object_type, object_id, after)
                SELECT 'service', 'api_key.created', 'api_key', id, jsonb_build_object('name', name, 'of', 'instance') FROM created
            ), logged_replaced AS (
                INSERT INTO audit_log (actor, action, object_type, object_id, before)
                SELECT 'service', 'api_key.revoked', 'api_key', id, jsonb_build_object('name', name, 'of', 'instance') FROM replaced
            )
            SELECT EXISTS (SELECT FROM created) AS yes
            """,
            new
            {
                name,
                replaces,
                Hash = Secret.Hash(secret),
            },
            ct
        );

    private sealed record Found(bool Yes);

    private sealed record Listed(string Line);

    private sealed record Numbered(long Id);
}
