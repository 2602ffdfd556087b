using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>A reset puts an experiment back before its first start; what the run that it ends has come to is kept.</summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122180400_keep_former_runs")]
public sealed class KeepFormerRuns : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE former_runs (
            id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            experiment_id bigint NOT NULL REFERENCES experiments,
            started_at    timestamptz NOT NULL,
            reset_at      timestamptz NOT NULL,
            reset_by      text NOT NULL,
            state         jsonb NOT NULL,
            results       jsonb
        );
        CREATE INDEX former_runs_of ON former_runs (experiment_id, id DESC);
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("DROP TABLE former_runs;");
}
