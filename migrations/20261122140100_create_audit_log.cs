using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// Every change writes one entry, in the statement that makes the change. Entries are never changed or removed.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122140100_create_audit_log")]
public sealed class CreateAuditLog : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE audit_log (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            environment_id bigint REFERENCES environments,
            at             timestamptz NOT NULL DEFAULT clock_timestamp(),
            actor          text NOT NULL,
            action         text NOT NULL,
            object_type    text NOT NULL,
            object_id      bigint NOT NULL,
            before         jsonb,
            after          jsonb
        );
        COMMENT ON COLUMN audit_log.environment_id IS 'Null for what belongs to no environment: projects and keys of the instance.';
        CREATE INDEX audit_log_environment ON audit_log (environment_id, id DESC);
        CREATE INDEX audit_log_object ON audit_log (environment_id, object_type, object_id, id DESC);

        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'The audit log is append-only.' USING ERRCODE = 'restrict_violation';
        END $$;
        CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP TABLE audit_log;
        DROP FUNCTION refuse_change();
        """);
}
