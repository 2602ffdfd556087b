using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// All that is measured of an identity in an experiment is one row: its events, packed, and the values that follow from them. A row
/// an event and a row a value, as it was before, cost several times as much to fold and to read. What was measured is taken up
/// anew from the events. The number of a batch says when it came in, so that it is known of every event.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122170000_measure_by_identity")]
public sealed class MeasureByIdentity : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        -- Nobody folds meanwhile.
        SELECT pg_advisory_xact_lock(hashtext('folding'));
        CREATE TABLE measurements (
            experiment_id bigint NOT NULL REFERENCES experiments,
            identity      uuid NOT NULL,
            arm           smallint,
            numbers       double precision[] NOT NULL,
            events        bytea NOT NULL,
            PRIMARY KEY (experiment_id, identity)
        ) WITH (fillfactor = 70);
        -- Hashes and instants do not get smaller by being compressed.
        ALTER TABLE measurements ALTER events SET STORAGE EXTERNAL;
        COMMENT ON COLUMN measurements.arm IS 'The place of the variant of the identity, where it was shown anything.';
        COMMENT ON COLUMN measurements.numbers IS 'Two for each metric, in the order in which they were attached: its value, and what goes with it (a denominator, a covariate, or the steps of a funnel). Empty while all are nought.';
        COMMENT ON COLUMN measurements.events IS 'The events that the metrics are about, packed by the service.';

        DROP TABLE metric_events;
        DROP TABLE metric_values;
        DELETE FROM metric_sums;
        DELETE FROM metric_steps;
        ALTER TABLE experiment_metrics ADD taken_up_to timestamptz, ADD taken_up_key bigint;
        UPDATE experiment_metrics SET folded = false WHERE folded;
        CREATE INDEX experiment_metrics_new ON experiment_metrics (id) WHERE NOT folded;
        COMMENT ON COLUMN experiment_metrics.taken_up_to IS 'How far the events that had come before the metric are taken up, with the key of the last.';

        ALTER TABLE event_batches ALTER id DROP IDENTITY;
        CREATE SEQUENCE event_batch_numbers AS bigint CACHE 32;
        CREATE FUNCTION next_event_batch() RETURNS bigint LANGUAGE sql VOLATILE AS
            'SELECT (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint << 20) | (nextval(''event_batch_numbers'') & 1048575)';
        ALTER TABLE event_batches ALTER id SET DEFAULT next_event_batch();
        COMMENT ON COLUMN event_batches.id IS 'When it came in, in milliseconds since 1970, times 2^20, plus a number to tell those of the same millisecond apart.';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        ALTER TABLE event_batches ALTER id DROP DEFAULT;
        DROP FUNCTION next_event_batch();
        DROP SEQUENCE event_batch_numbers;
        -- Those that come next must not have the number of one that is there.
        ALTER TABLE event_batches ALTER id ADD GENERATED ALWAYS AS IDENTITY;
        SELECT setval(pg_get_serial_sequence('event_batches', 'id'), COALESCE((SELECT max(batch) FROM events), 0) + 1);

        CREATE TABLE metric_events (
            link_id  bigint NOT NULL REFERENCES experiment_metrics ON DELETE CASCADE,
            identity uuid NOT NULL,
            at       timestamptz NOT NULL,
            key      bigint NOT NULL,
            slot     smallint NOT NULL,
            value    double precision NOT NULL,
            PRIMARY KEY (link_id, identity, at, key, slot)
        );
        CREATE TABLE metric_values (
            link_id   bigint NOT NULL REFERENCES experiment_metrics ON DELETE CASCADE,
            identity  uuid NOT NULL,
            arm       smallint NOT NULL,
            y         double precision NOT NULL,
            d         double precision NOT NULL,
            x         double precision NOT NULL,
            steps     smallint NOT NULL,
            PRIMARY KEY (link_id, identity)
        );
        DELETE FROM metric_sums;
        DELETE FROM metric_steps;
        DROP INDEX experiment_metrics_new;
        ALTER TABLE experiment_metrics DROP taken_up_to, DROP taken_up_key;
        UPDATE experiment_metrics SET folded = false WHERE folded;
        DROP TABLE measurements;
        """);
}
