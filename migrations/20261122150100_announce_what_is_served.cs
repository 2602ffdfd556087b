using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// Every replica serves flags from memory. Whatever changes what an environment serves, by whatever hand, tells them all when
/// it commits, on the channel <c>serving</c>, with the environment's id.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122150100_announce_what_is_served")]
public sealed class AnnounceWhatIsServed : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE FUNCTION announce_serving() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('serving', NEW.environment_id::text);
            RETURN NULL;
        END $$;

        CREATE TRIGGER features_are_served AFTER INSERT OR UPDATE ON features
            FOR EACH ROW EXECUTE FUNCTION announce_serving();
        -- A draft, a paused and a completed experiment change nothing for anyone.
        CREATE TRIGGER experiments_are_served AFTER UPDATE ON experiments
            FOR EACH ROW WHEN ('running' IN (OLD.status, NEW.status)) EXECUTE FUNCTION announce_serving();
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP TRIGGER experiments_are_served ON experiments;
        DROP TRIGGER features_are_served ON features;
        DROP FUNCTION announce_serving();
        """);
}
