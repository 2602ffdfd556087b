using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// While its feature is switched off an experiment shows nobody a variant, whatever its status: those stretches are cut out of its runs like
/// pauses. Exposures of a clock that is slow, from before the start, are told apart instead of vanishing. And whom a rollout admits is kept
/// as a number, so that it can be counted who lost their variant to a lower one.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261126130000_tell_what_was_not_shown")]
public sealed class TellWhatWasNotShown : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        ALTER TABLE experiments ADD off tstzmultirange NOT NULL DEFAULT '{}';
        COMMENT ON COLUMN experiments.off IS 'The stretches, since it was first started, in which its feature was switched off.';

        -- Whoever switches a feature has locked its row, as folding does to look at the clock, so that up to its horizon this is final.
        CREATE FUNCTION cut_out_while_off() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE experiments SET off = CASE WHEN NEW.enabled
                THEN off * tstzmultirange(tstzrange(NULL, GREATEST(clock_timestamp(), updated_at + interval '1 microsecond')))
                ELSE off + tstzmultirange(tstzrange(GREATEST(clock_timestamp(), updated_at + interval '1 microsecond'), NULL)) END
            WHERE environment_id = NEW.environment_id AND feature_id = NEW.id AND status IN ('running', 'paused') AND deleted_at IS NULL
              AND upper_inf(off) = NEW.enabled;
            RETURN NULL;
        END $$;
        UPDATE experiments e SET off = tstzmultirange(tstzrange(clock_timestamp(), NULL))
            FROM features f WHERE f.id = e.feature_id AND NOT f.enabled AND e.status IN ('running', 'paused') AND e.deleted_at IS NULL;
        CREATE TRIGGER features_switched AFTER UPDATE OF enabled ON features FOR EACH ROW WHEN (OLD.enabled <> NEW.enabled) EXECUTE FUNCTION cut_out_while_off();

        ALTER TABLE exposures ADD before_at timestamptz, ADD draw double precision;
        COMMENT ON COLUMN exposures.before_at IS 'Its first exposure that names the experiment and is from before its start.';
        COMMENT ON COLUMN exposures.draw IS 'A number from 0 to 1: a rollout of more admits the identity.';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        ALTER TABLE exposures DROP before_at, DROP draw;
        DROP TRIGGER features_switched ON features;
        DROP FUNCTION cut_out_while_off();
        ALTER TABLE experiments DROP off;
        """);
}
