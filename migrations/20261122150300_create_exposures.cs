using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// What the exposures of an identity to an experiment amount to. Each column only ever takes in more (another bit, an earlier
/// instant), so that the row is the same in whatever order events arrive. The counts are kept beside it, by the hour, so that
/// to read them costs nothing that grows with the identities.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122150300_create_exposures")]
public sealed class CreateExposures : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE exposures (
            experiment_id bigint NOT NULL REFERENCES experiments,
            identity      uuid NOT NULL,
            identifier    text NOT NULL,
            own           smallint NOT NULL,
            seen          integer NOT NULL,
            seen_at       timestamptz,
            enrolled_at   timestamptz,
            paused_at     timestamptz,
            PRIMARY KEY (experiment_id, identity)
        );
        COMMENT ON COLUMN exposures.identity IS 'The first half of the SHA-256 of the identifier.';
        COMMENT ON COLUMN exposures.own IS 'The place of the variant that assignment gives to the identity.';
        COMMENT ON COLUMN exposures.seen IS 'The variants that it was shown while the experiment ran: a bit for each place, and bit 30 for any that the experiment does not have.';
        COMMENT ON COLUMN exposures.seen_at IS 'Its first exposure while the experiment ran.';
        COMMENT ON COLUMN exposures.enrolled_at IS 'The first of those at which the rollout admitted it.';
        COMMENT ON COLUMN exposures.paused_at IS 'Its first exposure during a pause.';

        CREATE TABLE exposure_counts (
            experiment_id bigint NOT NULL REFERENCES experiments,
            hour          timestamptz NOT NULL,
            outcome       text NOT NULL,
            count         bigint NOT NULL,
            PRIMARY KEY (experiment_id, hour, outcome)
        );
        COMMENT ON COLUMN exposure_counts.outcome IS 'The key of a variant after "variant:", or the reason why these are set aside.';
        COMMENT ON COLUMN exposure_counts.count IS 'Identities; for exposures that name none, exposures.';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP TABLE exposure_counts;
        DROP TABLE exposures;
        """);
}
