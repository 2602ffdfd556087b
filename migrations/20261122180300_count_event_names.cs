using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>Which events come, how many and since when: kept beside the events, so that to name them costs nothing that grows with them.</summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122180300_count_event_names")]
public sealed class CountEventNames : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        -- Nobody folds meanwhile.
        SELECT pg_advisory_xact_lock(hashtext('folding'));
        CREATE TABLE event_names (
            environment_id bigint NOT NULL REFERENCES environments,
            event          text NOT NULL,
            count          bigint NOT NULL,
            first_seen     timestamptz NOT NULL,
            last_seen      timestamptz NOT NULL,
            PRIMARY KEY (environment_id, event)
        );
        -- What waits to be folded is counted then.
        INSERT INTO event_names (environment_id, event, count, first_seen, last_seen)
            SELECT e.environment_id, e.event, count(*), min(e.at), max(e.at)
            FROM events e
            WHERE NOT EXISTS (SELECT FROM event_batches b WHERE b.id = e.batch AND e.at >= b.from_at)
            GROUP BY 1, 2;
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("DROP TABLE event_names;");
}
