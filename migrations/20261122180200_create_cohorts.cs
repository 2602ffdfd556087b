using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>The identities exposed to an experiment, under a name. Members are not stored: whoever counts is one.</summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122180200_create_cohorts")]
public sealed class CreateCohorts : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE cohorts (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            environment_id bigint NOT NULL,
            experiment_id  bigint NOT NULL,
            name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 400),
            variant        text,
            created_by     text NOT NULL,
            created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT cohorts_experiment FOREIGN KEY (experiment_id, environment_id) REFERENCES experiments (id, environment_id),
            CONSTRAINT cohorts_once UNIQUE (experiment_id)
        );
        CREATE INDEX cohorts_newest ON cohorts (environment_id, created_at DESC, id DESC);
        COMMENT ON COLUMN cohorts.variant IS 'Only those who count in the variant of this key; null for all.';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("DROP TABLE cohorts;");
}
