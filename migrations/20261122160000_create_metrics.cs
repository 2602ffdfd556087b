using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// Metrics belong to an environment and are shared by its experiments. An experiment keeps a copy of each metric that it has; while
/// it is not completed the metric cannot change, and afterwards what became of the metric no longer matters to it.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122160000_create_metrics")]
public sealed class CreateMetrics : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE metrics (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            environment_id bigint NOT NULL REFERENCES environments,
            name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
            description    text NOT NULL DEFAULT '' CHECK (char_length(description) <= 10000),
            aggregation    text NOT NULL CHECK (aggregation IN ('occurrence', 'count', 'sum', 'mean', 'ratio', 'funnel', 'retention')),
            direction      text NOT NULL DEFAULT 'up' CHECK (direction IN ('up', 'down', 'informational')),
            definition     jsonb NOT NULL,
            version        bigint NOT NULL DEFAULT 1,
            created_by     text NOT NULL,
            created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            deleted_at     timestamptz,
            CONSTRAINT metrics_in_environment UNIQUE (id, environment_id)
        );
        CREATE INDEX metrics_newest ON metrics (environment_id, created_at DESC, id DESC) INCLUDE (name) WHERE deleted_at IS NULL;

        ALTER TABLE experiments ADD CONSTRAINT experiments_in_environment UNIQUE (id, environment_id);

        CREATE TABLE experiment_metrics (
            id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            environment_id     bigint NOT NULL,
            experiment_id      bigint NOT NULL,
            metric_id          bigint NOT NULL,
            role               text NOT NULL CHECK (role IN ('primary', 'secondary', 'guardrail')),
            expected_direction text NOT NULL CHECK (expected_direction IN ('increase', 'decrease', 'not_increase', 'not_decrease')),
            name               text NOT NULL,
            aggregation        text NOT NULL,
            direction          text NOT NULL,
            definition         jsonb NOT NULL,
            added_after_start  boolean NOT NULL DEFAULT false,
            folded             boolean NOT NULL DEFAULT false,
            created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT experiment_metrics_once UNIQUE (experiment_id, metric_id),
            CONSTRAINT experiment_metrics_experiment FOREIGN KEY (experiment_id, environment_id) REFERENCES experiments (id, environment_id),
            CONSTRAINT experiment_metrics_metric FOREIGN KEY (metric_id, environment_id) REFERENCES metrics (id, environment_id)
        );
        CREATE UNIQUE INDEX experiment_metrics_primary ON experiment_metrics (experiment_id) WHERE role = 'primary';
        CREATE INDEX experiment_metrics_metric ON experiment_metrics (metric_id);
        COMMENT ON COLUMN experiment_metrics.folded IS 'Whether the events that had come before the metric was taken up are counted.';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP TABLE experiment_metrics;
        ALTER TABLE experiments DROP CONSTRAINT experiments_in_environment;
        DROP TABLE metrics;
        """);
}
