using FluentMigrator;

namespace Experiments.Migrations;

/// <summary>Metrics, and the copy that each experiment keeps of those it measures by.</summary>
[Migration(202611261403, "create metrics")]
public sealed class CreateMetrics : TableMigration
{
    public override IReadOnlyList<string> Tables => ["metrics", "experiment_metrics"];

    public override void Up() =>
        Execute.Sql(
            """
            CREATE TABLE metrics (
                id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                environment_id bigint NOT NULL REFERENCES environments,
                name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                description    text NOT NULL DEFAULT '' CHECK (char_length(description) <= 10000),
                aggregation    text NOT NULL CHECK (aggregation IN ('occurrence', 'count', 'count_distinct', 'sum', 'max',
                    'min', 'mean', 'ratio', 'funnel', 'retention')),
                direction      text NOT NULL DEFAULT 'up' CHECK (direction IN ('up', 'down', 'informational')),
                margin         double precision CHECK (margin BETWEEN 0 AND 1),
                definition     jsonb NOT NULL,
                version        bigint NOT NULL DEFAULT 1,
                created_by     text NOT NULL,
                created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
                updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
                deleted_at     timestamptz,
                CONSTRAINT metrics_in_environment UNIQUE (id, environment_id)
            );
            COMMENT ON TABLE metrics IS 'What experiments can be measured by: which events, and what to take from them.';
            COMMENT ON COLUMN metrics.margin IS
                'As a guardrail, by which share of control''s mean it may get worse and still be called safe; null for the default.';
            CREATE INDEX metrics_newest ON metrics (environment_id, created_at DESC, id DESC) INCLUDE (name) WHERE deleted_at IS NULL;

            -- Nobody expects more of what is better when there is less of it.
            CREATE FUNCTION directions_agree(direction text, expected_direction text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
                SELECT CASE direction WHEN 'up' THEN expected_direction IN ('increase', 'not_decrease')
                                      WHEN 'down' THEN expected_direction IN ('decrease', 'not_increase')
                                      ELSE true END
            $$;
            CREATE FUNCTION expected_direction_of(direction text, role text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
                SELECT CASE WHEN direction = 'down' THEN CASE role WHEN 'guardrail' THEN 'not_increase' ELSE 'decrease' END
                            ELSE CASE role WHEN 'guardrail' THEN 'not_decrease' ELSE 'increase' END END
            $$;

            -- How long after an exposure the value of an identity may be open, where it counts once that is over.
            CREATE FUNCTION open_window(definition jsonb) RETURNS interval LANGUAGE plpgsql IMMUTABLE AS $$
            DECLARE
                hours double precision := 0;
            BEGIN
                IF definition->>'maturity' = 'all' THEN
                    RETURN interval '0';
                END IF;
                IF jsonb_typeof(definition->'conversion_window_hours') = 'number' THEN
                    hours := (definition->>'conversion_window_hours')::double precision;
                END IF;
                IF jsonb_typeof(definition->'to_hours') = 'number' THEN
                    hours := hours + (definition->>'to_hours')::double precision;
                END IF;
                -- Whatever is stored, this is an interval.
                RETURN round(LEAST(GREATEST(hours, 0), 100000) * 3600000) * interval '1 millisecond';
            END $$;

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
                margin             double precision NOT NULL CHECK (margin BETWEEN 0 AND 1),
                definition         jsonb NOT NULL,
                metadata           jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
                added_after_start  boolean NOT NULL DEFAULT false,
                corrected_after_start boolean NOT NULL DEFAULT false,
                window_length      interval NOT NULL GENERATED ALWAYS AS (open_window(definition)) STORED,
                backfilled         boolean NOT NULL DEFAULT false,
                backfilled_to      timestamptz,
                backfilled_key     bigint,
                created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
                CONSTRAINT experiment_metrics_direction CHECK (directions_agree(direction, expected_direction)),
                CONSTRAINT experiment_metrics_once UNIQUE (experiment_id, metric_id),
                CONSTRAINT experiment_metrics_experiment FOREIGN KEY (experiment_id, environment_id) REFERENCES experiments (id,
                    environment_id),
                CONSTRAINT experiment_metrics_metric FOREIGN KEY (metric_id, environment_id) REFERENCES metrics (id, environment_id)
            );
            COMMENT ON TABLE experiment_metrics IS
                'The metrics of an experiment, each a copy of the metric as it was when it was attached.';
            COMMENT ON COLUMN experiment_metrics.window_length IS
                'How long after an exposure the value of an identity may be open, where it counts once that is over.';
            COMMENT ON COLUMN experiment_metrics.margin IS
                'By which share of control''s mean the metric, if it must not get worse, may do so and still be called safe.';
            COMMENT ON COLUMN experiment_metrics.corrected_after_start IS
                'Whether its direction or its margin was corrected after the experiment had started.';
            COMMENT ON COLUMN experiment_metrics.metadata IS 'Free for the client.';
            COMMENT ON COLUMN experiment_metrics.backfilled IS
                'Whether the events that came before the metric was attached have been aggregated.';
            COMMENT ON COLUMN experiment_metrics.backfilled_to IS
                'How far those events have been aggregated, with backfilled_key: a place in the order of the store of events.';
            CREATE UNIQUE INDEX experiment_metrics_primary ON experiment_metrics (experiment_id) WHERE role = 'primary';
            CREATE INDEX experiment_metrics_metric ON experiment_metrics (metric_id);
            CREATE INDEX experiment_metrics_windowed ON experiment_metrics (experiment_id) WHERE window_length > '0';
            CREATE INDEX experiment_metrics_new ON experiment_metrics (id) WHERE NOT backfilled;
            """
        );

    public override void Down()
    {
        DropTables();
        Execute.Sql("DROP FUNCTION open_window; DROP FUNCTION expected_direction_of; DROP FUNCTION directions_agree;");
    }
}
