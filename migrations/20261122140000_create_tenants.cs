using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// Projects hold environments; an environment is the tenant that everything else belongs to, addressed by its public key.
/// Who may manage it is an admin (by the subject of a token) or an API key. Both hang on one environment, on one project,
/// or, with neither, on the whole instance.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122140000_create_tenants")]
public sealed class CreateTenants : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        -- How an instant is written wherever the database itself writes JSON: RFC 3339, UTC.
        CREATE FUNCTION instant(at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$
            SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        $$;

        CREATE TABLE projects (
            id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
            organisation text NOT NULL CHECK (char_length(organisation) BETWEEN 1 AND 255),
            created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
        );

        CREATE TABLE environments (
            id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            project_id bigint NOT NULL REFERENCES projects,
            name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
            key        text NOT NULL CONSTRAINT environments_key UNIQUE,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT environments_name UNIQUE (project_id, name)
        );

        CREATE TABLE admins (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            subject        text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
            environment_id bigint REFERENCES environments,
            project_id     bigint REFERENCES projects,
            created_by     text NOT NULL,
            created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            CHECK (num_nonnulls(environment_id, project_id) <= 1),
            CONSTRAINT admins_subject UNIQUE NULLS NOT DISTINCT (subject, environment_id, project_id)
        );
        CREATE INDEX admins_environment ON admins (environment_id, id);

        CREATE TABLE api_keys (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
            hash           bytea NOT NULL CHECK (octet_length(hash) = 32),
            environment_id bigint REFERENCES environments,
            created_by     text NOT NULL,
            created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at     timestamptz,
            revoked_at     timestamptz
        );
        COMMENT ON COLUMN api_keys.hash IS 'SHA-256 of the secret, which itself is never stored.';
        -- A key is found by half of its hash and then compared whole, in constant time, by the service.
        CREATE INDEX api_keys_lookup ON api_keys (substring(hash FROM 1 FOR 16));
        CREATE INDEX api_keys_environment ON api_keys (environment_id, id);
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP TABLE api_keys;
        DROP TABLE admins;
        DROP TABLE environments;
        DROP TABLE projects;
        DROP FUNCTION instant(timestamptz);
        """);
}
