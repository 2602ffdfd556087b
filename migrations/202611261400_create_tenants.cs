using FluentMigrator;

namespace Experiments.Migrations;

/// <summary>
/// Projects and their environments, who may manage them, what they changed, and the answers that are kept for repeated requests.
/// </summary>
[Migration(202611261400, "create tenants")]
public sealed class CreateTenants : TableMigration
{
    public override IReadOnlyList<string> Tables =>
        ["projects", "environments", "warehouse_connections", "admins", "api_keys", "audit_log", "idempotency_keys"];

    public override void Up() =>
        Execute.Sql(
            """
            -- How an instant is written wherever the database itself writes JSON: RFC 3339, UTC.
            CREATE FUNCTION instant(at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$
                SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            $$;

            CREATE TABLE projects (
                id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                organisation text NOT NULL CHECK (char_length(organisation) BETWEEN 1 AND 255),
                created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
                deleted_at   timestamptz
            );
            COMMENT ON TABLE projects IS 'A product of an organisation. Its environments share nothing but its admins.';

            CREATE TABLE environments (
                id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                project_id bigint NOT NULL REFERENCES projects,
                name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                key        text NOT NULL CONSTRAINT environments_key UNIQUE,
                former_key text UNIQUE,
                former_key_until timestamptz,
                kept_traits text[] NOT NULL DEFAULT '{}'
                    CHECK (cardinality(kept_traits) <= 20 AND array_position(kept_traits, NULL) IS NULL),
                created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                deleted_at timestamptz,
                CONSTRAINT environments_in_project UNIQUE (id, project_id),
                CHECK ((former_key IS NULL) = (former_key_until IS NULL))
            );
            CREATE UNIQUE INDEX environments_name ON environments (project_id, name) WHERE deleted_at IS NULL;
            COMMENT ON TABLE environments IS 'The tenant: everything below belongs to one environment, and every query is scoped by it.';
            COMMENT ON COLUMN environments.kept_traits IS 'The keys of the traits that are kept of identities.';
            COMMENT ON COLUMN environments.former_key IS 'The key before the last rotation, which opens the environment until then.';
            COMMENT ON COLUMN environments.key IS 'The public key with which applications evaluate flags and send events.';

            CREATE TABLE warehouse_connections (
                id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                project_id bigint NOT NULL REFERENCES projects,
                name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                kind       text NOT NULL CHECK (kind IN ('postgresql', 'clickhouse')),
                host       text NOT NULL CHECK (char_length(host) BETWEEN 1 AND 255),
                port       integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
                database   text NOT NULL CHECK (char_length(database) BETWEEN 1 AND 255),
                username   text NOT NULL CHECK (char_length(username) BETWEEN 1 AND 255),
                password   bytea NOT NULL,
                tls        boolean NOT NULL,
                version    bigint NOT NULL DEFAULT 1,
                created_by text NOT NULL,
                created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
                deleted_at timestamptz,
                CONSTRAINT warehouse_connections_in_project UNIQUE (id, project_id)
            );
            CREATE UNIQUE INDEX warehouse_connections_name ON warehouse_connections (project_id, lower(name)) WHERE deleted_at IS NULL;
            COMMENT ON TABLE warehouse_connections IS
                'Databases of customers, from which experiments read who was assigned and what they did.';
            COMMENT ON COLUMN warehouse_connections.password IS 'Encrypted with Warehouse:EncryptionKey.';

            CREATE TABLE admins (
                id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                subject        text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
                issuer         text CHECK (char_length(issuer) BETWEEN 1 AND 255),
                environment_id bigint REFERENCES environments,
                project_id     bigint REFERENCES projects,
                role           text NOT NULL DEFAULT 'admin' CHECK (role IN ('viewer', 'editor', 'admin')),
                created_by     text NOT NULL,
                created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
                CHECK (num_nonnulls(environment_id, project_id) <= 1),
                CONSTRAINT admins_subject UNIQUE NULLS NOT DISTINCT (subject, issuer, environment_id, project_id)
            );
            COMMENT ON TABLE admins IS
                'People, by the subject and issuer of their tokens, who have a role in an environment, a project, or (with neither) '
                'the instance.';
            COMMENT ON COLUMN admins.issuer IS 'Null when the service had a single issuer and nobody named it.';
            CREATE INDEX admins_environment ON admins (environment_id, id);

            CREATE TABLE api_keys (
                id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                hash           bytea NOT NULL CHECK (octet_length(hash) = 32),
                environment_id bigint REFERENCES environments,
                project_id     bigint REFERENCES projects,
                scopes         text[] NOT NULL DEFAULT '{read,write,admin}'
                    CHECK (cardinality(scopes) > 0 AND scopes <@ '{read,write,admin}'::text[]),
                created_by     text NOT NULL,
                created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
                expires_at     timestamptz,
                revoked_at     timestamptz,
                last_used_at   timestamptz,
                CHECK (num_nonnulls(environment_id, project_id) <= 1)
            );
            COMMENT ON TABLE api_keys IS
                'Keys for scripts and services, of an environment, a project, or (with neither) the instance.';
            COMMENT ON COLUMN api_keys.last_used_at IS 'To the minute.';
            COMMENT ON COLUMN api_keys.hash IS 'SHA-256 of the secret, which itself is never stored.';
            -- A key is found by half of its hash and then compared whole, in constant time, by the service.
            CREATE INDEX api_keys_lookup ON api_keys (substring(hash FROM 1 FOR 16));
            CREATE UNIQUE INDEX api_keys_in_force ON api_keys (hash) WHERE revoked_at IS NULL;
            CREATE INDEX api_keys_environment ON api_keys (environment_id, id);

            CREATE TABLE audit_log (
                id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                environment_id bigint REFERENCES environments,
                project_id     bigint REFERENCES projects,
                at             timestamptz NOT NULL DEFAULT clock_timestamp(),
                actor          text NOT NULL,
                request_id     text,
                address        text,
                action         text NOT NULL,
                object_type    text NOT NULL,
                object_id      bigint NOT NULL,
                before         jsonb,
                after          jsonb
            );
            COMMENT ON TABLE audit_log IS 'Every change, written by the statement that makes it. Append-only, except for retention.';
            COMMENT ON COLUMN audit_log.environment_id IS 'Null for what belongs to a project or to the instance.';
            COMMENT ON COLUMN audit_log.request_id IS 'Null, like the address, for what the service does by itself.';
            CREATE INDEX audit_log_project ON audit_log (project_id, id DESC) WHERE project_id IS NOT NULL;
            CREATE INDEX audit_log_environment ON audit_log (environment_id, id DESC);
            CREATE INDEX audit_log_object ON audit_log (environment_id, object_type, object_id, id DESC);

            CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                -- Set by the job that deletes what is older than the configured retention.
                IF TG_OP = 'DELETE' AND current_setting('experiments.audit_retention', true) = 'on' THEN
                    RETURN NULL;
                END IF;
                RAISE EXCEPTION 'The audit log is append-only.' USING ERRCODE = 'restrict_violation';
            END $$;
            CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
                FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

            CREATE TABLE idempotency_keys (
                caller      text NOT NULL,
                scope       text NOT NULL,
                key         bytea NOT NULL,
                fingerprint bytea NOT NULL,
                response    jsonb,
                body        bytea,
                created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
                PRIMARY KEY (caller, scope, key)
            );
            COMMENT ON TABLE idempotency_keys IS
                'The first response to each Idempotency-Key, kept for a day and replayed to the same caller.';
            COMMENT ON COLUMN idempotency_keys.scope IS 'The key of the environment, or empty outside of one.';
            COMMENT ON COLUMN idempotency_keys.key IS 'SHA-256 of the key, which itself encrypts the body.';
            COMMENT ON COLUMN idempotency_keys.fingerprint IS 'SHA-256 of method, path and body.';
            CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
            """
        );

    public override void Down()
    {
        DropTables();
        Execute.Sql("DROP FUNCTION refuse_change(); DROP FUNCTION instant(timestamptz);");
    }
}
