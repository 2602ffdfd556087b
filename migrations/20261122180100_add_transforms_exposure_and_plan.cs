using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// What an experiment says besides its split: what its variants change on a page, what shows an identity its variant and who is left
/// out, and how large it should become.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122180100_add_transforms_exposure_and_plan")]
public sealed class AddTransformsExposureAndPlan : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        -- Nobody folds meanwhile.
        SELECT pg_advisory_xact_lock(hashtext('folding'));
        ALTER TABLE experiments
            ADD transforms jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(transforms) = 'object'),
            ADD exposure jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(exposure) = 'object'),
            ADD plan jsonb CHECK (jsonb_typeof(plan) = 'object');
        COMMENT ON COLUMN experiments.transforms IS 'Of a web experiment, by the key of the variant: [{selector, text?, html?, css?}].';
        COMMENT ON COLUMN experiments.exposure IS 'Which event shows an identity its variant, who is left out, and what becomes of those who saw several: {event?, feature_property?, test_identities?, multiple_variants?}.';

        -- The variants as they are read: those of a web experiment with what they change.
        CREATE FUNCTION variants_shown(type text, variants jsonb, transforms jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN
            IF type <> 'web' THEN
                RETURN variants;
            END IF;
            RETURN (SELECT jsonb_agg(v || jsonb_build_object('transforms', COALESCE(transforms->(v->>'key'), '[]')) ORDER BY place)
                    FROM jsonb_array_elements(variants) WITH ORDINALITY AS t(v, place));
        END $$;

        -- Options as an experiment's variants give them: one that has no value keeps the one that it has in "existing", and a new one serves its key.
        CREATE FUNCTION options_given(given jsonb, existing jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN
            RETURN (
                SELECT COALESCE(jsonb_agg(
                    COALESCE((SELECT x FROM jsonb_array_elements(existing) AS x WHERE x->>'key' = g->>'key'),
                             jsonb_build_object('value', g->'key', 'default_percentage_allocation', 0)) || g ORDER BY place), '[]')
                FROM jsonb_array_elements(given) WITH ORDINALITY AS t(g, place));
        END $$;

        -- Identities that saw several variants may count in the one that they saw first.
        ALTER TABLE exposures ADD first_shown smallint;
        COMMENT ON COLUMN exposures.first_shown IS 'The place of the variant that it was shown at seen_at.';
        ALTER TABLE exposures ADD counts_in smallint;
        COMMENT ON COLUMN exposures.counts_in IS 'The place of the variant that it counts in, -1 where it counts as held out; null where it is set aside.';
        -- Whoever counts was shown its own variant and no other.
        UPDATE exposures SET
            first_shown = CASE WHEN seen = 1 << own THEN own END,
            counts_in = CASE WHEN seen = 1 << own AND enrolled_at IS NOT NULL THEN own END;
        CREATE INDEX exposures_counting ON exposures (experiment_id, counts_in, identity) WHERE counts_in IS NOT NULL;

        ALTER TABLE experiment_metrics ADD metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object');
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        ALTER TABLE experiment_metrics DROP metadata;
        ALTER TABLE exposures DROP first_shown, DROP counts_in;
        DROP FUNCTION options_given(jsonb, jsonb);
        DROP FUNCTION variants_shown(text, jsonb, jsonb);
        ALTER TABLE experiments DROP transforms, DROP exposure, DROP plan;
        """);
}
