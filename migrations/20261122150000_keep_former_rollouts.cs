using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// An exposure that arrives late is judged by the rollout that was in force when it happened, so what the rollout was before
/// it changed stays with the experiment.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122150000_keep_former_rollouts")]
public sealed class KeepFormerRollouts : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        ALTER TABLE experiments ADD rollouts jsonb NOT NULL DEFAULT '[]';
        COMMENT ON COLUMN experiments.rollouts IS 'Former rollouts since the first start, oldest first: [{percentage, until}].';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("ALTER TABLE experiments DROP rollouts;");
}
