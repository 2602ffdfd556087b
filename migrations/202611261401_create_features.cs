using FluentMigrator;

namespace Experiments.Migrations;

/// <summary>
/// A feature belongs to a project: its name and its options are the same in all environments. What it serves in an environment is its state
/// there. Options are read and replaced as a whole and have no meaning on their own. They are therefore stored in the row, ordered by id,
/// and a check constraint enforces their rules.
/// </summary>
[Migration(202611261401, "create features and holdouts")]
public sealed class CreateFeatures : TableMigration
{
    public override IReadOnlyList<string> Tables => ["features", "holdouts", "feature_states", "serving_changes"];

    public override void Up() =>
        Execute.Sql(
            """
            CREATE SEQUENCE feature_option_ids;

            -- In plpgsql, which caches its plans; a function in SQL would be planned again by every statement that calls it.
            CREATE FUNCTION options_are_valid(options jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN (
                    SELECT count(*) <= 10
                       AND count(*) = count(DISTINCT o->>'key')
                       AND COALESCE(bool_and(
                               (o->>'id')::bigint > 0
                               AND o->>'key' ~ '^[A-Za-z0-9_-]{1,255}$'
                               AND lower(o->>'key') <> 'control'
                               AND o ? 'value'
                               AND NOT o ? 'default_percentage_allocation'), true)
                    FROM jsonb_array_elements(options) AS o);
            END $$;

            -- Percentages by the id of an option.
            CREATE FUNCTION percentages_are_valid(percentages jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN (SELECT COALESCE(sum(value::numeric), 0) <= 100 AND COALESCE(bool_and(value::numeric >= 0), true)
                        FROM jsonb_each_text(percentages));
            END $$;

            -- Options as an environment has them: with their percentages there.
            CREATE FUNCTION options_here(options jsonb, percentages jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN (SELECT COALESCE(jsonb_agg(o || jsonb_build_object('default_percentage_allocation',
                                COALESCE(percentages->(o->>'id'), '0')) ORDER BY position), '[]')
                        FROM jsonb_array_elements(options) WITH ORDINALITY AS t(o, position));
            END $$;

            -- The two parts of such options.
            CREATE FUNCTION options_alone(options jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN (SELECT COALESCE(jsonb_agg(o - 'default_percentage_allocation' ORDER BY position), '[]')
                        FROM jsonb_array_elements(options) WITH ORDINALITY AS t(o, position));
            END $$;
            CREATE FUNCTION percentages_of(options jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN (SELECT COALESCE(jsonb_object_agg(o->>'id', o->'default_percentage_allocation')
                                FILTER (WHERE (o->>'default_percentage_allocation')::numeric > 0), '{}')
                        FROM jsonb_array_elements(options) AS o);
            END $$;

            -- The given options with ids: an option that exists keeps the id that it has in "existing", and with it its position.
            CREATE FUNCTION options_of(given jsonb, existing jsonb) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
            BEGIN
                RETURN (SELECT CASE WHEN given IS NULL THEN NULL
                    ELSE COALESCE(jsonb_agg(numbered.o ORDER BY (numbered.o->>'id')::bigint), '[]') END
                FROM (
                    SELECT g.o || jsonb_build_object('id', COALESCE(
                               (SELECT (x->>'id')::bigint FROM jsonb_array_elements(existing) AS x WHERE x->>'key' = g.o->>'key'),
                               nextval('feature_option_ids'))) AS o
                    FROM jsonb_array_elements(given) WITH ORDINALITY AS g(o, position)
                    ORDER BY g.position
                ) numbered);
            END $$;

            -- Options as the variants of an experiment give them: one without a value keeps its value from "existing", and a new one
            -- serves its key.
            CREATE FUNCTION options_given(given jsonb, existing jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN (
                    SELECT COALESCE(jsonb_agg(
                        COALESCE((SELECT x FROM jsonb_array_elements(existing) AS x WHERE x->>'key' = g->>'key'),
                                 jsonb_build_object('value', g->'key', 'default_percentage_allocation', 0)) || g ORDER BY position), '[]')
                    FROM jsonb_array_elements(given) WITH ORDINALITY AS t(g, position));
            END $$;

            -- SDKs fold names: to them, "Button colour" and "button_colour" are one.
            CREATE FUNCTION folded(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN replace(lower(name), ' ', '_');

            CREATE TABLE features (
                id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                project_id    bigint NOT NULL REFERENCES projects,
                name          text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                description   text NOT NULL DEFAULT '' CHECK (char_length(description) <= 10000),
                options       jsonb NOT NULL DEFAULT '[]' CHECK (options_are_valid(options)),
                default_value jsonb,
                version       bigint NOT NULL DEFAULT 1,
                created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
                updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
                deleted_at    timestamptz,
                CONSTRAINT features_in_project UNIQUE (id, project_id)
            );
            COMMENT ON TABLE features IS 'Flags of a project. One with options is multivariate, and an experiment may run on it.';
            COMMENT ON COLUMN features.options IS '[{id, key, value}], ordered by id.';
            COMMENT ON COLUMN features.default_value IS 'What it serves in an environment that is created later.';
            CREATE UNIQUE INDEX features_name ON features (project_id, folded(name)) WHERE deleted_at IS NULL;

            CREATE TABLE holdouts (
                id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                environment_id bigint NOT NULL REFERENCES environments,
                name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                description    text NOT NULL DEFAULT '' CHECK (char_length(description) <= 10000),
                percentage     numeric NOT NULL CHECK (percentage BETWEEN 0 AND 100),
                unit_key       text NOT NULL DEFAULT '' CHECK (char_length(unit_key) <= 200),
                salt           text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
                version        bigint NOT NULL DEFAULT 1,
                created_by     text NOT NULL,
                created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
                updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
                retired_at     timestamptz,
                deleted_at     timestamptz,
                CONSTRAINT holdouts_retired CHECK (retired_at IS NOT NULL OR deleted_at IS NULL),
                CONSTRAINT holdouts_in_environment UNIQUE (id, environment_id),
                CONSTRAINT holdouts_unit UNIQUE (id, environment_id, unit_key)
            );
            COMMENT ON TABLE holdouts IS 'Shares of all identities that are kept out of experiments.';
            COMMENT ON COLUMN holdouts.unit_key IS 'The key whose value is held out; empty for the identifier.';
            CREATE INDEX holdouts_newest ON holdouts (environment_id, created_at DESC, id DESC) INCLUDE (name) WHERE deleted_at IS NULL;

            COMMENT ON COLUMN holdouts.retired_at IS 'From when on it keeps nobody out. A holdout that is deleted is retired as well.';

            CREATE TABLE feature_states (
                environment_id bigint NOT NULL,
                feature_id     bigint NOT NULL,
                project_id     bigint NOT NULL,
                enabled        boolean NOT NULL DEFAULT false,
                initial_value  jsonb,
                percentages    jsonb NOT NULL DEFAULT '{}' CHECK (percentages_are_valid(percentages)),
                held_by        bigint,
                held_value     jsonb CHECK (held_value IS NULL OR held_by IS NOT NULL),
                version        bigint NOT NULL DEFAULT 1,
                updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
                PRIMARY KEY (environment_id, feature_id),
                CONSTRAINT feature_states_feature FOREIGN KEY (feature_id, project_id) REFERENCES features (id, project_id),
                CONSTRAINT feature_states_holdout FOREIGN KEY (held_by, environment_id) REFERENCES holdouts (id, environment_id),
                CONSTRAINT feature_states_environment FOREIGN KEY (environment_id, project_id) REFERENCES environments (id, project_id)
            );
            COMMENT ON TABLE feature_states IS
                'What each feature serves in each environment of its project. Whoever changes an experiment on it locks this row; whoever '
                'changes its name or options locks the rows of all environments.';
            COMMENT ON COLUMN feature_states.percentages IS
                'Which identities get an option while no experiment runs or is paused, by the id of the option.';
            COMMENT ON COLUMN feature_states.held_by IS
                'Since a variant was shipped, the holdout whose identities keep the former value, until it is retired or the value is set '
                'by hand.';
            COMMENT ON COLUMN feature_states.held_value IS 'That former value.';
            CREATE INDEX feature_states_held ON feature_states (held_by) WHERE held_by IS NOT NULL;
            CREATE INDEX feature_states_of ON feature_states (feature_id);

            CREATE VIEW environment_features AS
                SELECT f.id, s.environment_id, f.project_id, f.name, f.description, f.options, f.default_value, s.enabled, s.initial_value,
                    s.percentages, s.held_by, s.held_value, options_here(f.options, s.percentages) AS multivariate_options,
                    f.version + s.version AS version,
                    f.created_at, GREATEST(f.updated_at, s.updated_at) AS updated_at, f.deleted_at
                FROM feature_states s JOIN features f ON f.id = s.feature_id;
            COMMENT ON VIEW environment_features IS 'Features as an environment has them.';

            -- A feature has a state in every environment of its project, whichever of the two comes first. Creating either locks the
            -- project, and what is inserted here is read after that.
            CREATE FUNCTION state_everywhere() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO feature_states (environment_id, feature_id, project_id, initial_value)
                SELECT e.id, NEW.id, NEW.project_id, NEW.default_value FROM environments e
                WHERE e.project_id = NEW.project_id AND e.deleted_at IS NULL
                ON CONFLICT DO NOTHING;
                RETURN NULL;
            END $$;
            CREATE TRIGGER features_have_states AFTER INSERT ON features
                FOR EACH ROW EXECUTE FUNCTION state_everywhere();
            CREATE FUNCTION state_all_features() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO feature_states (environment_id, feature_id, project_id, initial_value)
                SELECT NEW.id, f.id, f.project_id, f.default_value FROM features f
                WHERE f.project_id = NEW.project_id AND f.deleted_at IS NULL;
                RETURN NULL;
            END $$;
            CREATE TRIGGER environments_have_features AFTER INSERT ON environments
                FOR EACH ROW EXECUTE FUNCTION state_all_features();

            CREATE TABLE serving_changes (
                environment_id bigint NOT NULL REFERENCES environments,
                -- Readers ask for what had not committed when they last looked, so that they miss nothing.
                transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
                at             timestamptz NOT NULL DEFAULT clock_timestamp()
            );
            COMMENT ON TABLE serving_changes IS 'Which environments serve something else since which transaction. Kept for an hour.';
            CREATE INDEX serving_changes_transaction ON serving_changes (transaction_id) INCLUDE (environment_id);
            CREATE INDEX serving_changes_at ON serving_changes (at);

            -- Every replica listens, and reads the environment again.
            CREATE FUNCTION announce_change(changed bigint) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO serving_changes (environment_id) VALUES (changed);
                PERFORM pg_notify('serving', changed::text);
            END $$;
            CREATE FUNCTION announce_serving() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM announce_change(NEW.environment_id);
                RETURN NULL;
            END $$;
            CREATE FUNCTION announce_environment() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM announce_change(NEW.id);
                RETURN NULL;
            END $$;
            CREATE TRIGGER environments_are_served AFTER INSERT OR UPDATE ON environments
                FOR EACH ROW EXECUTE FUNCTION announce_environment();
            CREATE TRIGGER holdouts_are_served AFTER UPDATE ON holdouts
                FOR EACH ROW EXECUTE FUNCTION announce_serving();
            CREATE TRIGGER states_are_served AFTER INSERT OR UPDATE ON feature_states
                FOR EACH ROW EXECUTE FUNCTION announce_serving();
            CREATE FUNCTION announce_feature() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM announce_change(environment_id) FROM feature_states WHERE feature_id = NEW.id;
                RETURN NULL;
            END $$;
            -- Options that are gone have no percentages anywhere.
            CREATE FUNCTION drop_percentages() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                UPDATE feature_states s SET percentages = percentages_of(options_here(NEW.options, s.percentages))
                WHERE s.feature_id = NEW.id AND s.percentages <> percentages_of(options_here(NEW.options, s.percentages));
                RETURN NULL;
            END $$;
            CREATE TRIGGER features_drop_percentages AFTER UPDATE OF options ON features
                FOR EACH ROW WHEN (OLD.options <> NEW.options) EXECUTE FUNCTION drop_percentages();
            CREATE TRIGGER features_are_served AFTER UPDATE ON features
                FOR EACH ROW EXECUTE FUNCTION announce_feature();
            """
        );

    public override void Down()
    {
        Execute.Sql("DROP VIEW environment_features; DROP TRIGGER environments_have_features ON environments;");
        DropTables();
        Execute.Sql(
            """
            DROP FUNCTION state_everywhere();
            DROP FUNCTION state_all_features();
            DROP FUNCTION announce_feature();
            DROP FUNCTION drop_percentages();
            DROP TRIGGER environments_are_served ON environments;
            DROP FUNCTION announce_environment();
            DROP FUNCTION announce_serving();
            DROP FUNCTION announce_change(bigint);
            DROP FUNCTION options_given(jsonb, jsonb);
            DROP FUNCTION options_of(jsonb, jsonb);
            DROP FUNCTION folded(text);
            DROP FUNCTION percentages_of(jsonb);
            DROP FUNCTION options_alone(jsonb);
            DROP FUNCTION options_here(jsonb, jsonb);
            DROP FUNCTION percentages_are_valid(jsonb);
            DROP FUNCTION options_are_valid(jsonb);
            DROP SEQUENCE feature_option_ids;
            """
        );
    }
}
