using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// The first answer to a request that carried an Idempotency-Key, kept with the change it reports. A twin that arrives while
/// the first is still at work waits on the primary key.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122140400_create_idempotency_keys")]
public sealed class CreateIdempotencyKeys : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE idempotency_keys (
            caller      text NOT NULL,
            scope       text NOT NULL,
            key         bytea NOT NULL,
            fingerprint bytea NOT NULL,
            answer      jsonb,
            body        bytea,
            created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (caller, scope, key)
        );
        COMMENT ON COLUMN idempotency_keys.scope IS 'The key of the environment, or empty outside of one.';
        COMMENT ON COLUMN idempotency_keys.key IS 'SHA-256 of the key, which itself encrypts the body.';
        COMMENT ON COLUMN idempotency_keys.fingerprint IS 'SHA-256 of method, path and body.';
        CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("DROP TABLE idempotency_keys;");
}
