using FluentMigrator;

namespace Experiments.Migrations;

/// <summary>
/// An experiment keeps its own copy of the variants, so that later changes to the feature cannot contradict what it ran with. Its runs
/// are stored in the row itself: a statement that had to wait for the row lock sees the current row, but other tables as they were
/// before.
/// </summary>
[Migration(202611261402, "create experiments")]
public sealed class CreateExperiments : TableMigration
{
    public override IReadOnlyList<string> Tables => ["experiments", "former_runs", "cohorts"];

    public override void Up() =>
        Execute.Sql(
            """
            -- The variants of a feature: control first, then its options in order. Without weights the split is even, to the
            -- hundredth of a percent, and control takes the remainder.
            CREATE FUNCTION variants_of(initial_value jsonb, options jsonb, weights jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
            DECLARE
                share    numeric := trim_scale(floor(10000.0 / (jsonb_array_length(options) + 1)) / 100);
                variants jsonb := jsonb_build_array(jsonb_build_object('key', 'control', 'value', initial_value,
                    'weight', COALESCE(weights->'control', to_jsonb(trim_scale(100 - jsonb_array_length(options) * share)))));
            BEGIN
                FOR position IN 0 .. jsonb_array_length(options) - 1 LOOP
                    variants := variants || jsonb_build_object('key', options->position->'key', 'value', options->position->'value',
                        'weight', COALESCE(weights->(options->position->>'key'), to_jsonb(share)));
                END LOOP;
                RETURN variants;
            END $$;

            -- Whether there are weights for control and for each option, and for nothing else.
            CREATE FUNCTION split_fits(options jsonb, weights jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                FOR position IN 0 .. jsonb_array_length(options) - 1 LOOP
                    IF NOT weights ? (options->position->>'key') THEN
                        RETURN false;
                    END IF;
                END LOOP;
                RETURN weights ? 'control' AND (SELECT count(*) FROM jsonb_object_keys(weights)) = jsonb_array_length(options) + 1;
            END $$;

            CREATE FUNCTION weights_of(variants jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN (SELECT jsonb_object_agg(v->>'key', v->'weight') FROM jsonb_array_elements(variants) AS v);
            END $$;

            -- The variants of a draft after its feature has changed: the same keys keep their weights, other keys start from an even split.
            -- Control follows the feature's value, unless the two differed before.
            CREATE FUNCTION follow(variants jsonb, former_value jsonb, initial_value jsonb, options jsonb)
                RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
            DECLARE
                weights jsonb := weights_of(variants);
            BEGIN
                RETURN variants_of(
                    CASE WHEN variants->0->'value' = COALESCE(former_value, 'null') THEN initial_value ELSE variants->0->'value' END,
                    options, CASE WHEN split_fits(options, weights) THEN weights END);
            END $$;

            -- Whether there is something to compare: another value, or on a web page another change.
            CREATE FUNCTION variants_differ(variants jsonb, transforms jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN (SELECT count(DISTINCT jsonb_build_array(v->'value', COALESCE(transforms->(v->>'key'), '[]'))) > 1
                        FROM jsonb_array_elements(variants) AS v);
            END $$;

            CREATE FUNCTION split_is_valid(variants jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
            DECLARE
                total numeric := 0;
                keys  text[] := '{}';
            BEGIN
                FOR position IN 0 .. jsonb_array_length(variants) - 1 LOOP
                    IF (variants->position->>'weight')::numeric IS NULL OR (variants->position->>'weight')::numeric < 0
                       OR variants->position->>'key' = ANY (keys) THEN
                        RETURN false;
                    END IF;
                    total := total + (variants->position->>'weight')::numeric;
                    keys := keys || (variants->position->>'key');
                END LOOP;
                RETURN cardinality(keys) BETWEEN 2 AND 11 AND keys[1] = 'control' AND abs(total - 100) <= 0.000001;
            END $$;

            -- The variants as they are read: those of a web experiment with what they change.
            CREATE FUNCTION variants_shown(type text, variants jsonb, transforms jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                IF type <> 'web' THEN
                    RETURN variants;
                END IF;
                RETURN (SELECT jsonb_agg(v || jsonb_build_object('transforms', COALESCE(transforms->(v->>'key'), '[]')) ORDER BY position)
                        FROM jsonb_array_elements(variants) WITH ORDINALITY AS t(v, position));
            END $$;

            CREATE TABLE experiments (
                id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                environment_id     bigint NOT NULL,
                feature_id         bigint NOT NULL,
                holdout_id         bigint,
                name               text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                hypothesis         text NOT NULL CHECK (char_length(hypothesis) BETWEEN 1 AND 10000),
                description        text NOT NULL DEFAULT '' CHECK (char_length(description) <= 10000),
                type               text NOT NULL DEFAULT 'product' CHECK (type IN ('product', 'web')),
                status             text NOT NULL DEFAULT 'created' CHECK (status IN ('created', 'running', 'paused', 'completed')),
                rollout_percentage numeric NOT NULL DEFAULT 100 CHECK (rollout_percentage BETWEEN 0 AND 100),
                rollouts           jsonb NOT NULL DEFAULT '[]',
                variants           jsonb NOT NULL CHECK (split_is_valid(variants)),
                transforms         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(transforms) = 'object'),
                exposure           jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(exposure) = 'object'),
                breakdowns         text[] NOT NULL DEFAULT '{}'
                    CHECK (cardinality(breakdowns) <= 3 AND array_position(breakdowns, NULL) IS NULL),
                plan               jsonb CHECK (jsonb_typeof(plan) = 'object'),
                unit_key           text NOT NULL DEFAULT '' CHECK (char_length(unit_key) <= 200),
                salt               text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
                hashing            text NOT NULL DEFAULT 'native' CHECK (hashing IN ('native', 'flagsmith')),
                aa                 boolean NOT NULL DEFAULT false,
                connection_id      bigint REFERENCES warehouse_connections,
                source             jsonb CHECK (jsonb_typeof(source) = 'object'),
                archived           boolean NOT NULL DEFAULT false,
                conclusion         text CHECK (conclusion IN ('won', 'lost', 'inconclusive', 'stopped_early', 'invalid')),
                conclusion_comment text CHECK (char_length(conclusion_comment) <= 10000),
                shipped_variant    text,
                version            bigint NOT NULL DEFAULT 1,
                created_by         text NOT NULL,
                created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
                updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
                started_at         timestamptz,
                events_before      bigint NOT NULL DEFAULT 0,
                ended_at           timestamptz,
                windows_run_on     interval NOT NULL DEFAULT '0' CHECK (windows_run_on BETWEEN '0' AND '720 hours'),
                deleted_at         timestamptz,
                runs               tstzmultirange NOT NULL DEFAULT '{}',
                off                tstzmultirange NOT NULL DEFAULT '{}',
                enabled_feature    boolean NOT NULL DEFAULT false,
                CONSTRAINT experiments_in_environment UNIQUE (id, environment_id),
                CONSTRAINT experiments_feature FOREIGN KEY (environment_id, feature_id) REFERENCES feature_states,
                CONSTRAINT experiments_holdout FOREIGN KEY (holdout_id, environment_id, unit_key)
                    REFERENCES holdouts (id, environment_id, unit_key),
                CONSTRAINT experiments_hashing CHECK (hashing = 'native' OR (holdout_id IS NULL AND unit_key = '')),
                CONSTRAINT experiments_source CHECK ((connection_id IS NULL) = (source IS NULL)
                    AND (source IS NULL OR (holdout_id IS NULL AND hashing = 'native'))),
                CONSTRAINT experiments_started CHECK ((status = 'created') = (started_at IS NULL)),
                CONSTRAINT experiments_ended CHECK ((status = 'completed') = (ended_at IS NOT NULL)),
                CONSTRAINT experiments_runs CHECK ((status = 'running') = upper_inf(runs) AND (status = 'created') = isempty(runs)),
                CONSTRAINT experiments_time_runs_forward CHECK (ended_at >= started_at),
                CONSTRAINT experiments_conclude_at_the_end
                    CHECK (status = 'completed' OR num_nonnulls(conclusion, conclusion_comment, shipped_variant) = 0)
            );
            COMMENT ON TABLE experiments IS 'Experiments on multivariate features. At most one active one per feature and environment.';
            COMMENT ON COLUMN experiments.rollouts IS 'Earlier rollouts since the first start, oldest first: [{percentage, until}].';
            COMMENT ON COLUMN experiments.variants IS '[{key, value, weight}], control first; the weights are percentages that sum to 100.';
            COMMENT ON COLUMN experiments.transforms IS 'Of a web experiment, by variant key: [{selector, text?, html?, css?}].';
            COMMENT ON COLUMN experiments.breakdowns IS 'The traits by whose values at the first exposure results are broken down.';
            COMMENT ON COLUMN experiments.exposure IS
                'What counts as an exposure: {event?, feature_property?, test_identities?, multiple_variants?}.';
            COMMENT ON COLUMN experiments.unit_key IS 'The key whose value is assigned and counted; empty for the identifier.';
            COMMENT ON COLUMN experiments.salt IS 'Hashed with an identifier to decide enrolment and variant.';
            COMMENT ON COLUMN experiments.hashing IS
                'How identities are assigned: natively, or as Flagsmith''s SDKs do when they evaluate flags themselves.';
            COMMENT ON COLUMN experiments.events_before IS 'How many events the environment had counted at the first start.';
            COMMENT ON COLUMN experiments.windows_run_on IS
                'For how long after the end the windows of identities run on. Results are final when that and the period for late events '
                'are over.';
            COMMENT ON COLUMN experiments.aa IS 'Whether its variants are meant to serve the same, as a test of the set-up.';
            COMMENT ON COLUMN experiments.connection_id IS
                'The warehouse that it is counted from; null for the events that the service collects.';
            COMMENT ON COLUMN experiments.source IS 'The tables of that warehouse and their columns: {assignments, events}.';
            COMMENT ON COLUMN experiments.enabled_feature IS 'Whether its first start enabled the feature; a reset disables it again.';
            COMMENT ON COLUMN experiments.runs IS 'When it was running; a gap between two runs is a pause.';
            COMMENT ON COLUMN experiments.off IS 'When, since the first start, its feature was switched off.';
            CREATE UNIQUE INDEX experiments_active ON experiments (environment_id, feature_id)
                WHERE status <> 'completed' AND deleted_at IS NULL;
            -- A list reads its page in order, and counts from the index alone.
            CREATE INDEX experiments_newest ON experiments (environment_id, archived, created_at DESC, id DESC)
                INCLUDE (status, feature_id, name, created_by) WHERE deleted_at IS NULL;
            CREATE INDEX experiments_feature ON experiments (feature_id, environment_id, id DESC) WHERE deleted_at IS NULL;
            CREATE INDEX experiments_holdout ON experiments (holdout_id) WHERE holdout_id IS NOT NULL;
            CREATE INDEX experiments_connection ON experiments (connection_id) WHERE connection_id IS NOT NULL;

            -- Drafts and completed experiments change nothing for anyone. During a pause, the percentages of the feature do not apply.
            CREATE TRIGGER experiments_are_served AFTER UPDATE ON experiments
                FOR EACH ROW WHEN (OLD.status IN ('running', 'paused') OR NEW.status IN ('running', 'paused'))
                EXECUTE FUNCTION announce_serving();
            -- Whoever switches a feature has locked its row, as aggregation does before it reads the clock, so that up to its high-water
            -- mark this is final.
            CREATE FUNCTION cut_out_while_off() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                UPDATE experiments SET off = CASE WHEN NEW.enabled
                    THEN off * tstzmultirange(tstzrange(NULL, GREATEST(clock_timestamp(), updated_at + interval '1 microsecond')))
                    ELSE off + tstzmultirange(tstzrange(GREATEST(clock_timestamp(), updated_at + interval '1 microsecond'), NULL)) END
                WHERE environment_id = NEW.environment_id AND feature_id = NEW.feature_id AND status IN ('running', 'paused')
                  AND deleted_at IS NULL
                  AND upper_inf(off) = NEW.enabled;
                RETURN NULL;
            END $$;
            CREATE TRIGGER features_switched AFTER UPDATE OF enabled ON feature_states
                FOR EACH ROW WHEN (OLD.enabled <> NEW.enabled) EXECUTE FUNCTION cut_out_while_off();

            CREATE TABLE former_runs (
                id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                experiment_id bigint NOT NULL REFERENCES experiments,
                started_at    timestamptz NOT NULL,
                reset_at      timestamptz NOT NULL,
                reset_by      text NOT NULL,
                state         jsonb NOT NULL,
                results       jsonb
            );
            COMMENT ON TABLE former_runs IS 'Former runs of experiments: the experiment and its results before each reset.';
            CREATE INDEX former_runs_of ON former_runs (experiment_id, id DESC);

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
            COMMENT ON TABLE cohorts IS
                'The identities that count in an experiment, as a list that can be read and exported. Its members are read from exposures.';
            COMMENT ON COLUMN cohorts.variant IS 'Only those who count in the variant with this key; null for all.';
            CREATE INDEX cohorts_newest ON cohorts (environment_id, created_at DESC, id DESC);
            """
        );

    public override void Down()
    {
        Execute.Sql("DROP TRIGGER features_switched ON feature_states; DROP FUNCTION cut_out_while_off();");
        DropTables();
        Execute.Sql(
            """
            DROP FUNCTION variants_shown(text, jsonb, jsonb);
            DROP FUNCTION split_is_valid(jsonb);
            DROP FUNCTION variants_differ(jsonb, jsonb);
            DROP FUNCTION follow(jsonb, jsonb, jsonb, jsonb);
            DROP FUNCTION weights_of(jsonb);
            DROP FUNCTION split_fits(jsonb, jsonb);
            DROP FUNCTION variants_of(jsonb, jsonb, jsonb);
            """
        );
    }
}
