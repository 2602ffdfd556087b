using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// Events are only ever added, and dropped by the month. An event that arrives twice is recognised by its key: a hash of its id
/// or, where it has none, of its content. The key is narrow and follows the instant, so that new rows meet the warm end of
/// their index. What came in one request is a batch; a batch stays listed until everything that is derived from events has
/// taken it in.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122150200_create_events")]
public sealed class CreateEvents : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        -- Without foreign keys: the service writes only environments that exist, and none is ever deleted.
        CREATE TABLE events (
            at             timestamptz NOT NULL,
            key            bigint NOT NULL,
            batch          bigint NOT NULL,
            environment_id bigint NOT NULL,
            event          text NOT NULL,
            feature_name   text,
            identifier     text,
            value          text,
            traits         jsonb,
            metadata       jsonb,
            PRIMARY KEY (at, key)
        ) PARTITION BY RANGE (at);
        COMMENT ON COLUMN events.at IS 'When it happened, by the clock of the client; to the millisecond.';
        COMMENT ON COLUMN events.key IS 'XxHash3 of environment and id, or of environment and content.';
        -- Rows lie in the order of their batches, so that a list of which blocks hold which is enough.
        CREATE INDEX events_batch ON events USING brin (batch) WITH (pages_per_range = 32, autosummarize = on);

        -- The ids that clients gave to events. The same id is the same event, whatever else it says and whenever it happened.
        CREATE TABLE event_ids (
            id uuid PRIMARY KEY,
            at timestamptz NOT NULL
        );
        COMMENT ON COLUMN event_ids.id IS 'XxHash128 of environment and id.';
        CREATE INDEX event_ids_age ON event_ids USING brin (at);

        CREATE TABLE event_batches (
            id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            environment_id bigint NOT NULL REFERENCES environments,
            events         int NOT NULL,
            from_at        timestamptz NOT NULL,
            until_at       timestamptz NOT NULL,
            received_at    timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        CREATE INDEX event_batches_due ON event_batches (from_at);
        CREATE INDEX event_batches_waiting ON event_batches (environment_id, from_at) INCLUDE (received_at, events);
        COMMENT ON COLUMN event_batches.from_at IS 'From where on its events are still to be taken in; those of the future wait for it.';

        CREATE VIEW event_partitions AS
            SELECT c.relname AS partition, make_timestamptz(substr(c.relname, 8, 4)::int, substr(c.relname, 13, 2)::int, 1, 0, 0, 0, 'UTC') AS begins
            FROM pg_inherits i
            JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'events'::regclass;

        -- Makes the partitions, one a month (UTC), that hold these instants.
        CREATE FUNCTION make_event_partitions(first timestamptz, last timestamptz) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
            month timestamp := date_trunc('month', first AT TIME ZONE 'UTC');
            name  text;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtext('event_partitions'));
            WHILE month <= last AT TIME ZONE 'UTC' LOOP
                name := to_char(month, '"events_"YYYY_MM');
                IF to_regclass(name) IS NULL THEN
                    -- Attached, not made in place, so that nobody who writes or reads has to wait.
                    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS)', name);
                    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                        month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
                END IF;
                month := month + interval '1 month';
            END LOOP;
        END $$;

        -- Drops the partitions that ended before this, except those that hold what an experiment may still need: one that is not
        -- completed, or completed so lately that late events still count.
        CREATE FUNCTION drop_events(before timestamptz, final_after interval) RETURNS SETOF text LANGUAGE plpgsql AS $$
        DECLARE
            name  text;
            month timestamptz;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtext('event_partitions'));
            FOR name, month IN
                SELECT partition, begins + interval '1 month' FROM event_partitions ORDER BY begins
            LOOP
                IF month <= before
                   AND NOT EXISTS (SELECT FROM event_batches WHERE from_at < month)
                   AND NOT EXISTS (
                       SELECT FROM experiments
                       WHERE started_at < month AND deleted_at IS NULL AND (ended_at IS NULL OR ended_at + final_after > clock_timestamp()))
                THEN
                    EXECUTE format('DROP TABLE %I', name);
                    RETURN NEXT name;
                END IF;
            END LOOP;
        END $$;
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP FUNCTION drop_events(timestamptz, interval);
        DROP FUNCTION make_event_partitions(timestamptz, timestamptz);
        DROP VIEW event_partitions;
        DROP TABLE event_batches;
        DROP TABLE event_ids;
        DROP TABLE events;
        """);
}
