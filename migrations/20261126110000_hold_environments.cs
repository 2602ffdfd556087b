using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>Which environments wait to be counted because something in them is locked or cannot be read, so that those who wait can see it.</summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261126110000_hold_environments")]
public sealed class HoldEnvironments : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE counting_holds (
            environment_id bigint PRIMARY KEY REFERENCES environments ON DELETE CASCADE,
            since          timestamptz NOT NULL DEFAULT clock_timestamp(),
            reason         text NOT NULL CHECK (reason IN ('locked', 'failed'))
        );
        COMMENT ON TABLE counting_holds IS 'Environments whose events are not counted at the moment, while those of all others are.';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("DROP TABLE counting_holds");
}
