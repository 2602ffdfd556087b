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
        -- The variants of a feature: control first, then its options in order. Without weights the split is even, to the
        -- hundredth of a percent, and control takes what is left over.
        CREATE FUNCTION variants_of(initial_value jsonb, options jsonb, weights jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
            WITH even AS (
                SELECT jsonb_array_length(options) AS n, floor(10000.0 / (jsonb_array_length(options) + 1)) / 100 AS share
            ), variants AS (
                SELECT 0 AS position, 'control' AS key, initial_value AS value, 100 - n * share AS weight FROM even
                UNION ALL
                SELECT position, o->>'key', o->'value', share
                FROM even, jsonb_array_elements(options) WITH ORDINALITY AS listed(o, position)
            )
            SELECT jsonb_agg(jsonb_build_object('key', key, 'value', value,
                'weight', trim_scale(CASE WHEN weights IS NULL THEN weight ELSE (weights->>key)::numeric END)) ORDER BY position)
            FROM variants
        $$;

        -- The variants of a draft after its feature has changed: the same keys keep their weights, other keys start from an even split.
        CREATE FUNCTION follow(variants jsonb, initial_value jsonb, options jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
            WITH weights AS (SELECT jsonb_object_agg(v->>'key', v->'weight') AS kept FROM jsonb_array_elements(variants) AS v),
                 fresh AS (SELECT jsonb_object_agg(v->>'key', 0) AS keys FROM jsonb_array_elements(variants_of(NULL, options, NULL)) AS v)
            SELECT variants_of(initial_value, options,
                CASE WHEN (SELECT count(*) FROM jsonb_object_keys(kept)) = (SELECT count(*) FROM jsonb_object_keys(keys))
                      AND kept ?& (SELECT array_agg(k) FROM jsonb_object_keys(keys) AS k) THEN kept END)
            FROM weights, fresh
        $$;

        CREATE FUNCTION split_is_valid(variants jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
            SELECT count(*) BETWEEN 2 AND 11
               AND count(*) = count(DISTINCT v->>'key')
               AND variants->0->>'key' = 'control'
               AND COALESCE(bool_and((v->>'weight')::numeric >= 0), false)
               AND COALESCE(abs(sum((v->>'weight')::numeric) - 100) <= 0.000001, false)
               AND count(v->>'weight') = count(*)
            FROM jsonb_array_elements(variants) AS v
        $$;

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
        CREATE INDEX experiments_newest ON experiments (environment_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;

        -- What the audit log shows of an experiment.
        CREATE FUNCTION audited(e experiments) RETURNS jsonb LANGUAGE sql STABLE AS $$
            SELECT jsonb_build_object(
                'name', e.name, 'hypothesis', e.hypothesis, 'description', e.description, 'type', e.type, 'status', e.status,
                'feature', e.feature_id, 'rollout_percentage', e.rollout_percentage, 'variants', e.variants, 'archived', e.archived,
                'conclusion', e.conclusion, 'conclusion_comment', e.conclusion_comment, 'shipped_variant', e.shipped_variant,
                'started_at', instant(e.started_at), 'ended_at', instant(e.ended_at))
        $$;
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP FUNCTION audited(experiments);
        DROP TABLE experiments;
        DROP FUNCTION split_is_valid(jsonb);
        DROP FUNCTION follow(jsonb, jsonb, jsonb);
        DROP FUNCTION variants_of(jsonb, jsonb, jsonb);
        """);
}
