using FluentMigrator;

namespace Experiments.Migrations;

/// <summary>
/// A feature is a flag of one environment. Its options are read and replaced as a whole and have no meaning on their own. They are
/// therefore stored in the row, ordered by id, and a check constraint enforces their rules.
/// </summary>
[Migration(202611261401, "create features")]
public sealed class CreateFeatures : TableMigration
{
    public override IReadOnlyList<string> Tables => ["features", "serving_changes"];

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
                       AND COALESCE(sum((o->>'default_percentage_allocation')::numeric), 0) <= 100
                       AND COALESCE(bool_and(
                               (o->>'id')::bigint > 0
                               AND o->>'key' ~ '^[A-Za-z0-9_-]{1,255}$'
                               AND lower(o->>'key') <> 'control'
                               AND o ? 'value'
                               AND (o->>'default_percentage_allocation')::numeric >= 0), true)
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

            CREATE TABLE features (
                id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                environment_id       bigint NOT NULL REFERENCES environments,
                name                 text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
                enabled              boolean NOT NULL DEFAULT false,
                initial_value        jsonb,
                multivariate_options jsonb NOT NULL DEFAULT '[]' CHECK (options_are_valid(multivariate_options)),
                version              bigint NOT NULL DEFAULT 1,
                created_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
                updated_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
                deleted_at           timestamptz,
                CONSTRAINT features_in_environment UNIQUE (id, environment_id)
            );
            COMMENT ON TABLE features IS 'Flags. One with options is multivariate, and an experiment may run on it.';
            COMMENT ON COLUMN features.multivariate_options IS '[{id, key, value, default_percentage_allocation}], ordered by id.';
            CREATE UNIQUE INDEX features_name ON features (environment_id, lower(name)) WHERE deleted_at IS NULL;
            CREATE INDEX features_newest ON features (environment_id, created_at DESC, id DESC) INCLUDE (name) WHERE deleted_at IS NULL;

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
            CREATE TRIGGER features_are_served AFTER INSERT OR UPDATE ON features
                FOR EACH ROW EXECUTE FUNCTION announce_serving();
            """
        );

    public override void Down()
    {
        DropTables();
        Execute.Sql(
            """
            DROP TRIGGER environments_are_served ON environments;
            DROP FUNCTION announce_environment();
            DROP FUNCTION announce_serving();
            DROP FUNCTION announce_change(bigint);
            DROP FUNCTION options_given(jsonb, jsonb);
            DROP FUNCTION options_of(jsonb, jsonb);
            DROP FUNCTION options_are_valid(jsonb);
            DROP SEQUENCE feature_option_ids;
            """
        );
    }
}
