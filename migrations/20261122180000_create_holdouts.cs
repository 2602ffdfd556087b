using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// A holdout keeps a share of the identities out of the experiments that have it. Each has a salt of its own, so that two of the
/// same size hold out different people. While an experiment that has started has it, it cannot change.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122180000_create_holdouts")]
public sealed class CreateHoldouts : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE holdouts (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            environment_id bigint NOT NULL REFERENCES environments,
            name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
            description    text NOT NULL DEFAULT '' CHECK (char_length(description) <= 10000),
            percentage     numeric NOT NULL CHECK (percentage BETWEEN 0 AND 100),
            salt           text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
            version        bigint NOT NULL DEFAULT 1,
            created_by     text NOT NULL,
            created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            deleted_at     timestamptz,
            CONSTRAINT holdouts_in_environment UNIQUE (id, environment_id)
        );
        CREATE INDEX holdouts_newest ON holdouts (environment_id, created_at DESC, id DESC) INCLUDE (name) WHERE deleted_at IS NULL;

        ALTER TABLE experiments ADD holdout_id bigint;
        ALTER TABLE experiments ADD CONSTRAINT experiments_holdout FOREIGN KEY (holdout_id, environment_id) REFERENCES holdouts (id, environment_id);
        CREATE INDEX experiments_holdout ON experiments (holdout_id) WHERE holdout_id IS NOT NULL;
        COMMENT ON COLUMN exposures.own IS 'The place of the variant that assignment gives to the identity, or -1 where the experiment''s holdout keeps it out.';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DELETE FROM metric_sums WHERE arm < 0;
        DELETE FROM metric_steps WHERE arm < 0;
        DELETE FROM measurements WHERE arm < 0;
        DELETE FROM exposure_counts WHERE outcome = 'held_out';
        DELETE FROM exposures WHERE own < 0;
        ALTER TABLE experiments DROP CONSTRAINT experiments_holdout;
        ALTER TABLE experiments DROP holdout_id;
        DROP TABLE holdouts;
        """);
}
