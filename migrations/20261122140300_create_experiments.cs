using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// An experiment keeps its own copy of the variants, so that nothing that happens to the feature later can contradict what it
/// ran with. Its runs are the stretches of time in which it was running; what lies between two of them was a pause. They stand
/// in the row itself, because a statement that had to wait for the row's lock sees the row as it is now, and any other table as
/// it was before.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122140300_create_experiments")]
public sealed class CreateExperiments : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        -- These are in plpgsql, which keeps its plans; a function in SQL would be planned again for every statement that calls it.

        -- The variants of a feature: control first, then its options in order. Without weights the split is even, to the
        -- hundredth of a percent, and control takes what is left over.
        CREATE FUNCTION variants_of(initial_value jsonb, options jsonb, weights jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
        DECLARE
            share    numeric := trim_scale(floor(10000.0 / (jsonb_array_length(options) + 1)) / 100);
            variants jsonb := jsonb_build_array(jsonb_build_object('key', 'control', 'value', initial_value,
                'weight', COALESCE(weights->'control', to_jsonb(trim_scale(100 - jsonb_array_length(options) * share)))));
        BEGIN
            FOR place IN 0 .. jsonb_array_length(options) - 1 LOOP
                variants := variants || jsonb_build_object('key', options->place->'key', 'value', options->place->'value',
                    'weight', COALESCE(weights->(options->place->>'key'), to_jsonb(share)));
            END LOOP;
            RETURN variants;
        END $$;

        -- Whether weights are given for control and for each option, and for nothing else.
        CREATE FUNCTION split_fits(options jsonb, weights jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN
            FOR place IN 0 .. jsonb_array_length(options) - 1 LOOP
                IF NOT weights ? (options->place->>'key') THEN
                    RETURN false;
                END IF;
            END LOOP;
            RETURN weights ? 'control' AND (SELECT count(*) FROM jsonb_object_keys(weights)) = jsonb_array_length(options) + 1;
        END $$;

        -- The variants of a draft after its feature has changed: the same keys keep their weights, other keys start from an even split.
        CREATE FUNCTION follow(variants jsonb, initial_value jsonb, options jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
        DECLARE
            weights jsonb := (SELECT jsonb_object_agg(v->>'key', v->'weight') FROM jsonb_array_elements(variants) AS v);
        BEGIN
            RETURN variants_of(initial_value, options, CASE WHEN split_fits(options, weights) THEN weights END);
        END $$;

        CREATE FUNCTION split_is_valid(variants jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
        DECLARE
            total numeric := 0;
            keys  text[] := '{}';
        BEGIN
            FOR place IN 0 .. jsonb_array_length(variants) - 1 LOOP
                IF (variants->place->>'weight')::numeric IS NULL OR (variants->place->>'weight')::numeric < 0
                   OR variants->place->>'key' = ANY (keys) THEN
                    RETURN false;
                END IF;
                total := total + (variants->place->>'weight')::numeric;
                keys := keys || (variants->place->>'key');
            END LOOP;
            RETURN cardinality(keys) BETWEEN 2 AND 11 AND keys[1] = 'control' AND abs(total - 100) <= 0.000001;
        END $$;

        CREATE TABLE experiments (
            id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            environment_id     bigint NOT NULL,
            feature_id         bigint NOT NULL,
            name               text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
            hypothesis         text NOT NULL CHECK (char_length(hypothesis) BETWEEN 1 AND 10000),
            description        text NOT NULL DEFAULT '' CHECK (char_length(description) <= 10000),
            type               text NOT NULL DEFAULT 'product' CHECK (type IN ('product', 'web')),
            status             text NOT NULL DEFAULT 'created' CHECK (status IN ('created', 'running', 'paused', 'completed')),
            rollout_percentage numeric NOT NULL DEFAULT 100 CHECK (rollout_percentage BETWEEN 0 AND 100),
            variants           jsonb NOT NULL CHECK (split_is_valid(variants)),
            salt               text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
            archived           boolean NOT NULL DEFAULT false,
            conclusion         text CHECK (conclusion IN ('won', 'lost', 'inconclusive', 'stopped_early', 'invalid')),
            conclusion_comment text CHECK (char_length(conclusion_comment) <= 10000),
            shipped_variant    text,
            version            bigint NOT NULL DEFAULT 1,
            created_by         text NOT NULL,
            created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
            updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
            started_at         timestamptz,
            ended_at           timestamptz,
            deleted_at         timestamptz,
            runs               tstzmultirange NOT NULL DEFAULT '{}',
            CONSTRAINT experiments_feature FOREIGN KEY (feature_id, environment_id) REFERENCES features (id, environment_id),
            CONSTRAINT experiments_started CHECK ((status = 'created') = (started_at IS NULL)),
            CONSTRAINT experiments_ended CHECK ((status = 'completed') = (ended_at IS NOT NULL)),
            CONSTRAINT experiments_runs CHECK ((status = 'running') = upper_inf(runs) AND (status = 'created') = isempty(runs)),
            CONSTRAINT experiments_time_runs_forward CHECK (ended_at >= started_at),
            CONSTRAINT experiments_conclude_at_the_end
                CHECK (status = 'completed' OR num_nonnulls(conclusion, conclusion_comment, shipped_variant) = 0)
        );
        CREATE UNIQUE INDEX experiments_active ON experiments (environment_id, feature_id)
            WHERE status <> 'completed' AND deleted_at IS NULL;
        -- A list reads its page in order, and counts from the index alone.
        CREATE INDEX experiments_newest ON experiments (environment_id, archived, created_at DESC, id DESC)
            INCLUDE (status, feature_id, name) WHERE deleted_at IS NULL;
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP TABLE experiments;
        DROP FUNCTION split_is_valid(jsonb);
        DROP FUNCTION follow(jsonb, jsonb, jsonb);
        DROP FUNCTION split_fits(jsonb, jsonb);
        DROP FUNCTION variants_of(jsonb, jsonb, jsonb);
        """);
}
