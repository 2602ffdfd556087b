using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// A feature is a flag of one environment. Its options are read and replaced as a whole and are meaningless apart, so they
/// stand in the row, in the order of their ids; the check holds their rules.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122140200_create_features")]
public sealed class CreateFeatures : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE SEQUENCE feature_option_ids;

        -- In plpgsql, which keeps its plans; a function in SQL would be planned again for every statement that calls it.
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

        -- Options as they are given, with ids: an option that exists keeps the one that it has in "existing", and with it its place.
        CREATE FUNCTION options_of(given jsonb, existing jsonb) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            RETURN (SELECT CASE WHEN given IS NULL THEN NULL ELSE COALESCE(jsonb_agg(numbered.o ORDER BY (numbered.o->>'id')::bigint), '[]') END
            FROM (
                SELECT g.o || jsonb_build_object('id', COALESCE(
                           (SELECT (x->>'id')::bigint FROM jsonb_array_elements(existing) AS x WHERE x->>'key' = g.o->>'key'),
                           nextval('feature_option_ids'))) AS o
                FROM jsonb_array_elements(given) WITH ORDINALITY AS g(o, position)
                ORDER BY g.position
            ) numbered);
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
        CREATE UNIQUE INDEX features_name ON features (environment_id, lower(name)) WHERE deleted_at IS NULL;
        CREATE INDEX features_newest ON features (environment_id, created_at DESC, id DESC) INCLUDE (name) WHERE deleted_at IS NULL;
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP TABLE features;
        DROP FUNCTION options_of(jsonb, jsonb);
        DROP FUNCTION options_are_valid(jsonb);
        DROP SEQUENCE feature_option_ids;
        """);
}
