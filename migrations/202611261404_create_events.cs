using FluentMigrator;

namespace Experiments.Migrations;

/// <summary>
/// Events as they came, in a partition per month. A batch is the events of one request; it waits in event_batches until it has been
/// aggregated.
/// </summary>
[Migration(202611261404, "create events")]
public sealed class CreateEvents : TableMigration
{
    public override IReadOnlyList<string> Tables =>
        [
            "events",
            "event_ids",
            "event_batches",
            "event_arrivals",
            "postponed_events",
            "dropped_events",
            "event_names",
            "identity_aliases",
            "identity_traits",
        ];

    public override void Up() =>
        Execute.Sql(
            """
            -- Without foreign keys: the service writes only environments that exist, and none is ever deleted.
            CREATE TABLE events (
                at             timestamptz NOT NULL,
                key            bigint NOT NULL,
                batch          bigint NOT NULL,
                environment_id bigint NOT NULL,
                happened_at    timestamptz NOT NULL,
                event          text NOT NULL,
                feature_name   text,
                identifier     text,
                value          text,
                traits         jsonb,
                metadata       jsonb,
                has_id         boolean NOT NULL DEFAULT false,
                PRIMARY KEY (at, key)
            ) PARTITION BY RANGE (at);
            COMMENT ON TABLE events IS 'Events and exposures as applications sent them, each once; a partition per month.';
            COMMENT ON COLUMN events.at IS 'When it happened by the clock of the client, to the millisecond.';
            COMMENT ON COLUMN events.happened_at IS
                'When it happened by our clock: corrected by the skew of the client''s, if that is known, and never after it arrived.';
            COMMENT ON COLUMN events.key IS 'XxHash3 of environment and id, or of environment and content.';
            COMMENT ON COLUMN events.has_id IS 'Whether the client gave it an id.';
            COMMENT ON COLUMN events.batch IS 'The id of the batch in which it arrived.';
            -- Rows lie in the order of their batches, so that a list of which blocks hold which is enough.
            CREATE INDEX events_batch ON events USING brin (batch) WITH (pages_per_range = 32, autosummarize = on);

            -- The value of a key in an event, by which units are told apart; without a key, the identifier. Null where there is none.
            CREATE FUNCTION unit_of(key text, identifier text, traits jsonb, metadata jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
                SELECT CASE WHEN COALESCE(key, '') = '' THEN NULLIF(identifier, '')
                    WHEN jsonb_typeof(COALESCE(traits -> key, metadata -> key)) IN ('string', 'number')
                        AND length(COALESCE(traits ->> key, metadata ->> key)) BETWEEN 1 AND 2000
                    THEN COALESCE(traits ->> key, metadata ->> key) END
            $$;

            CREATE TABLE event_ids (
                id uuid PRIMARY KEY,
                at timestamptz NOT NULL
            );
            COMMENT ON TABLE event_ids IS
                'The ids that clients gave to events. The same id is the same event, whatever else it says and whenever it happened.';
            COMMENT ON COLUMN event_ids.id IS
                'XxHash128 of environment and id; of a UUID, its first half stays in front, which is mostly the time.';
            CREATE INDEX event_ids_age ON event_ids USING brin (at);

            CREATE SEQUENCE event_batch_numbers AS bigint CACHE 32;
            CREATE FUNCTION next_event_batch() RETURNS bigint LANGUAGE sql VOLATILE AS
                'SELECT (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint << 20) | (nextval(''event_batch_numbers'') & 1048575)';

            CREATE TABLE event_batches (
                id             bigint NOT NULL DEFAULT next_event_batch() PRIMARY KEY,
                environment_id bigint NOT NULL REFERENCES environments,
                events         int NOT NULL,
                from_at        timestamptz NOT NULL,
                until_at       timestamptz NOT NULL,
                joins          boolean NOT NULL DEFAULT false,
                received_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
                counted_slots  int NOT NULL DEFAULT 0 CHECK (counted_slots BETWEEN 0 AND 65534)
            );
            COMMENT ON TABLE event_batches IS 'The queue of aggregation: batches of events that have not been aggregated yet.';
            COMMENT ON COLUMN event_batches.id IS
                'When it arrived, in milliseconds since 1970, times 2^20, plus a number to tell those of the same millisecond apart.';
            COMMENT ON COLUMN event_batches.from_at IS 'No event of it is earlier, by either clock.';
            COMMENT ON COLUMN event_batches.until_at IS 'No event of it is later, by either clock.';
            COMMENT ON COLUMN event_batches.joins IS 'Whether an event of it may say that two identities are one person.';
            COMMENT ON COLUMN event_batches.counted_slots IS
                'Which slots of identities have been aggregated, a bit for each of 16. The first four bits of an identity are its slot.';
            CREATE INDEX event_batches_waiting ON event_batches (environment_id, id) INCLUDE (received_at, events);
            CREATE INDEX event_batches_begun ON event_batches (environment_id, id) WHERE counted_slots <> 0;

            CREATE TABLE event_store (
                id    boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (id),
                store text NOT NULL CHECK (store IN ('postgresql', 'clickhouse')),
                moving_to text CHECK (moving_to IN ('postgresql', 'clickhouse') AND moving_to <> store),
                moved_from text CHECK (moved_from IN ('postgresql', 'clickhouse') AND moved_from <> store),
                copied_since timestamptz,
                copied_until timestamptz
            );
            INSERT INTO event_store (store) VALUES ('postgresql');
            COMMENT ON TABLE event_store IS 'Where the events are: here, or in ClickHouse.';
            COMMENT ON COLUMN event_store.moving_to IS 'Where they are being moved; until that is done, those that come are postponed.';
            COMMENT ON COLUMN event_store.moved_from IS 'Where they have been until a move, and are to be deleted.';
            COMMENT ON COLUMN event_store.copied_since IS 'When they began to be copied to the other store.';
            COMMENT ON COLUMN event_store.copied_until IS 'What came before has been copied.';

            CREATE TABLE event_arrivals (LIKE event_batches INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
            ALTER TABLE event_arrivals ADD FOREIGN KEY (environment_id) REFERENCES environments,
                ADD is_postponed boolean NOT NULL DEFAULT false;
            CREATE INDEX event_arrivals_postponed ON event_arrivals (id) WHERE is_postponed;
            COMMENT ON TABLE event_arrivals IS
                'Batches that are being written to a store of events other than this database, or postponed, and are queued after that.';
            COMMENT ON COLUMN event_arrivals.is_postponed IS 'Whether it waits until events have been moved to another store.';

            CREATE TABLE postponed_events (
                batch          bigint NOT NULL REFERENCES event_arrivals ON DELETE CASCADE,
                environment_id bigint NOT NULL,
                at             timestamptz NOT NULL,
                key            bigint NOT NULL,
                skew           interval NOT NULL,
                id             uuid,
                event          text NOT NULL,
                feature_name   text,
                identifier     text,
                value          text,
                traits         text,
                metadata       text
            );
            COMMENT ON TABLE postponed_events IS
                'Events that came while events were moving to another store; taken into that one when it is the one where events are.';
            COMMENT ON COLUMN postponed_events.skew IS 'What is added to at to tell when it happened.';
            CREATE INDEX postponed_events_batch ON postponed_events (batch);
            -- Of their hashes, since an identifier may be longer than a row of another kind of index.
            CREATE INDEX postponed_events_identifier ON postponed_events USING hash (identifier);

            CREATE TABLE dropped_events (until timestamptz PRIMARY KEY);
            COMMENT ON TABLE dropped_events IS 'The instants before which old events have been dropped, wherever events are.';

            -- Makes this transaction the only one that aggregates an environment, if no other does. While replicas aggregate slots of it,
            -- there may always be one that does, so this waits for those; who waits goes before those that come later.
            CREATE FUNCTION take_environment(environment bigint) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN
                IF pg_try_advisory_xact_lock(hashtext('aggregation'), hashint8(environment)) THEN
                    RETURN true;
                END IF;
                IF NOT EXISTS (SELECT FROM event_batches b WHERE b.environment_id = environment AND b.counted_slots <> 0) THEN
                    RETURN false;
                END IF;
                BEGIN
                    PERFORM set_config('lock_timeout', '15s', true);
                    PERFORM pg_advisory_xact_lock(hashtext('aggregation'), hashint8(environment));
                    RETURN true;
                EXCEPTION WHEN lock_not_available THEN
                    RETURN false;
                END;
            END $$;

            -- Locks at most so many slots of an environment that no other transaction aggregates, and returns a bit for each.
            -- Its plans are made for what waits at the moment: mostly nothing does.
            CREATE FUNCTION claim_slots(environment bigint, most int) RETURNS int
                LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
            DECLARE
                next    int;
                claimed int := 0;
            BEGIN
                FOR next IN
                    SELECT s.slot
                    FROM generate_series(0, 15) AS s(slot)
                    LEFT JOIN (
                        SELECT b.id, b.counted_slots FROM event_batches b WHERE b.environment_id = environment ORDER BY b.id LIMIT 5000
                    ) oldest ON (oldest.counted_slots >> s.slot) & 1 = 0
                    GROUP BY s.slot
                    -- Those that lag behind first, so that none waits for ever.
                    ORDER BY min(oldest.id) NULLS LAST, count(oldest) DESC, random()
                LOOP
                    EXIT WHEN most = 0;
                    IF pg_try_advisory_xact_lock(hashtext('aggregation slot'), hashint8(environment * 16 + next)) THEN
                        claimed := claimed | (1 << next);
                        most := most - 1;
                    END IF;
                END LOOP;
                RETURN claimed;
            END $$;

            -- Locks environments that wait, in an order of its own, until they have enough events for a batch. One that has much waiting
            -- gets a share of it, so that it holds up nobody, and is the only such one, so that replicas share the work. Batches are
            -- aggregated together if they arrived at about the same time, since then they are neighbours in the table.
            --
            -- Where much waits and there are several replicas, each gets some slots of it. Which slot an event is in depends on what is
            -- known of identities. So batches that say something of them are read when it is their turn, for which slots is 0, and
            -- whatever has been begun in slots is finished by one replica before that.
            CREATE FUNCTION claim_environments(held bigint[], among bigint[], seed bigint, most bigint, replicas int)
                RETURNS TABLE (environment_id bigint, share bigint, until timestamptz, slots int)
                LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
            DECLARE
                one     record;
                first   timestamptz;
                backlog bigint;
                plain   bigint;
                begun   boolean;
                total   bigint := 0;
                taken   int := 0;
                skipped int := 0;
                is_full boolean := false;
            BEGIN
                FOR one IN
                    WITH RECURSIVE waiting AS (
                        (SELECT b.environment_id AS id FROM event_batches b ORDER BY b.environment_id LIMIT 1)
                        UNION ALL
                        SELECT n.id FROM waiting w CROSS JOIN LATERAL (
                            SELECT b.environment_id AS id FROM event_batches b
                            WHERE b.environment_id > w.id ORDER BY b.environment_id LIMIT 1) n
                    ), due AS (
                        SELECT w.id, o.received_at
                        FROM waiting w
                        CROSS JOIN LATERAL (
                            SELECT b.received_at FROM event_batches b
                            WHERE b.environment_id = w.id ORDER BY b.id LIMIT 1) o
                        WHERE w.id <> ALL (held) AND (among IS NULL OR w.id = ANY (among))
                    )
                    SELECT d.id, d.received_at, CASE WHEN count(*) OVER () = 1 THEN most ELSE most / 4 END AS share
                    -- Every second time the oldest first, so that none waits for ever.
                    FROM due d ORDER BY CASE WHEN seed % 2 = 0 THEN d.received_at END, hashint8(d.id # seed)
                LOOP
                    CONTINUE WHEN one.received_at NOT BETWEEN first - interval '5 s' AND first + interval '5 s';
                    SELECT COALESCE(sum(b.events), 0), COALESCE(sum(b.events) FILTER (WHERE b.is_plain), 0) INTO backlog, plain
                    FROM (
                        SELECT w.events, NOT bool_or(w.joins) OVER (ORDER BY w.id) AS is_plain FROM (
                            SELECT * FROM event_batches q WHERE q.environment_id = one.id ORDER BY q.id LIMIT 5000) w
                    ) b;
                    -- Only one of those that are work enough: the next one is for another replica, or for the next time.
                    IF backlog > one.share AND is_full THEN
                        skipped := skipped + 1;
                        EXIT WHEN skipped = 20;
                        CONTINUE;
                    END IF;
                    slots := 65535;
                    IF backlog > most / 4 AND replicas IS DISTINCT FROM 1 THEN
                        -- Without what a pooler of connections may add to the name.
                        replicas := COALESCE(replicas, (
                            SELECT count(DISTINCT left(application_name, 56)) FROM pg_stat_activity
                            WHERE application_name LIKE 'experiments-aggregation-%' AND datname = current_database()));
                        slots := CASE WHEN replicas < 2 THEN 65535 WHEN plain > most / 4 THEN -1 ELSE 0 END;
                    END IF;
                    IF slots = -1 THEN
                        slots := claim_slots(one.id, (16 + replicas - 1) / replicas);
                        CONTINUE WHEN slots = 0;
                        CONTINUE WHEN NOT pg_try_advisory_xact_lock_shared(hashtext('aggregation'), hashint8(one.id));
                    ELSE
                        CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtext('aggregation'), hashint8(one.id));
                        SELECT EXISTS (SELECT FROM event_batches b WHERE b.environment_id = one.id AND b.counted_slots <> 0) INTO begun;
                        slots := CASE WHEN begun THEN 65535 ELSE slots END;
                    END IF;
                    is_full := is_full OR backlog > one.share;
                    first := COALESCE(first, one.received_at);
                    environment_id := one.id;
                    -- Each event is counted for each experiment that runs; and whoever needs the environment as a whole waits for all
                    -- that count slots.
                    SELECT CASE WHEN slots IN (0, 65535) THEN one.share ELSE LEAST(one.share, most * 2 / 5) END
                        / GREATEST(1, count(*) / 20) INTO share
                    FROM experiments e WHERE e.environment_id = one.id AND e.started_at IS NOT NULL AND e.ended_at IS NULL
                        AND e.deleted_at IS NULL;
                    until := first + interval '5 s';
                    RETURN NEXT;
                    total := total + LEAST(one.share, backlog);
                    taken := taken + 1;
                    -- The server has room for some thousands of locks.
                    EXIT WHEN total >= most OR taken >= 500;
                END LOOP;
            END $$;

            CREATE TABLE event_names (
                environment_id bigint NOT NULL REFERENCES environments,
                event          text NOT NULL,
                count          bigint NOT NULL,
                first_seen     timestamptz NOT NULL,
                last_seen      timestamptz NOT NULL,
                PRIMARY KEY (environment_id, event)
            );
            COMMENT ON TABLE event_names IS 'Which events an environment has received, and how many of each.';

            CREATE FUNCTION identity_of(identifier text) RETURNS uuid LANGUAGE sql STABLE AS $$
                SELECT encode(substring(sha256(convert_to(identifier, 'UTF8')) FOR 16), 'hex')::uuid
            $$;

            CREATE TABLE identity_aliases (
                environment_id bigint NOT NULL REFERENCES environments,
                identity       uuid NOT NULL,
                identifier     text NOT NULL,
                known_as       uuid NOT NULL,
                batch          bigint NOT NULL,
                PRIMARY KEY (environment_id, identity),
                UNIQUE (environment_id, identity, known_as),
                -- An alias is that of a known identity, which is the alias of nobody else.
                FOREIGN KEY (environment_id, known_as, known_as) REFERENCES identity_aliases (environment_id, identity, known_as)
            );
            COMMENT ON TABLE identity_aliases IS
                'Identities that $identify or $create_alias named: known ones, and anonymous ones that turned out to be a known one.';
            COMMENT ON COLUMN identity_aliases.identity IS 'The first half of the SHA-256 of the identifier.';
            COMMENT ON COLUMN identity_aliases.known_as IS 'The identity that it counts as; itself for a known one.';
            COMMENT ON COLUMN identity_aliases.batch IS 'The id of the batch of events that said so.';
            CREATE INDEX identity_aliases_of ON identity_aliases (environment_id, known_as);

            CREATE TABLE identity_traits (
                environment_id bigint NOT NULL REFERENCES environments,
                identity       uuid NOT NULL,
                identifier     text NOT NULL,
                traits         jsonb NOT NULL CHECK (jsonb_typeof(traits) = 'object'),
                updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
                PRIMARY KEY (environment_id, identity)
            );
            COMMENT ON TABLE identity_traits IS 'Traits of identities that an environment keeps by name; nothing is decided by them.';

            CREATE VIEW event_partitions AS
                SELECT c.relname AS partition, make_timestamptz(substr(c.relname, 8, 4)::int, substr(c.relname, 13, 2)::int, 1, 0, 0, 0,
                    'UTC') AS begins
                FROM pg_inherits i
                JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'events'::regclass;
            COMMENT ON VIEW event_partitions IS 'The partitions of events, and the months (UTC) that they hold.';

            -- Creates the partitions, one per month (UTC), that hold these instants.
            CREATE FUNCTION make_event_partitions(first timestamptz, last timestamptz) RETURNS void LANGUAGE plpgsql AS $$
            DECLARE
                month timestamp := date_trunc('month', first AT TIME ZONE 'UTC');
                name  text;
            BEGIN
                PERFORM pg_advisory_xact_lock(hashtext('event_partitions'));
                WHILE month <= last AT TIME ZONE 'UTC' LOOP
                    name := to_char(month, '"events_"YYYY_MM');
                    IF to_regclass(name) IS NULL THEN
                        -- Attached, not created in place, so that nobody who writes or reads has to wait.
                        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS)', name);
                        EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                            month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
                    END IF;
                    month := month + interval '1 month';
                END LOOP;
            END $$;

            -- Whether events before this may still be needed: some wait, or an experiment is not completed, or completed so lately that
            -- late events still count.
            CREATE FUNCTION events_are_needed(before timestamptz, final_after interval, lookback interval DEFAULT '0') RETURNS boolean
                LANGUAGE sql AS $$
                SELECT EXISTS (SELECT FROM event_batches WHERE from_at < before)
                    OR EXISTS (SELECT FROM event_arrivals WHERE from_at < before)
                    OR EXISTS (
                        SELECT FROM experiments e JOIN environments n ON n.id = e.environment_id
                        -- Months are those of timestamps, and those of wrong clocks may belong to a later one.
                        WHERE e.started_at - interval '8 days' - lookback < before AND e.deleted_at IS NULL AND n.deleted_at IS NULL
                            AND (e.ended_at IS NULL OR e.ended_at + e.windows_run_on + final_after > clock_timestamp()))
            $$;

            -- Drops the partitions that ended before this, except those that are needed, and writes down that they were.
            CREATE FUNCTION drop_events(before timestamptz, final_after interval) RETURNS SETOF text LANGUAGE plpgsql AS $$
            DECLARE
                name  text;
                month timestamptz;
            BEGIN
                PERFORM pg_advisory_xact_lock(hashtext('event_partitions'));
                FOR name, month IN
                    SELECT partition, begins + interval '1 month' FROM event_partitions ORDER BY begins
                LOOP
                    IF month <= before AND NOT events_are_needed(month, final_after)
                    THEN
                        EXECUTE format('DROP TABLE %I', name);
                        INSERT INTO dropped_events VALUES (month) ON CONFLICT DO NOTHING;
                        RETURN NEXT name;
                    END IF;
                END LOOP;
            END $$;
            """
        );

    public override void Down()
    {
        Execute.Sql(
            """
            DROP FUNCTION drop_events(timestamptz, interval);
            DROP FUNCTION events_are_needed(timestamptz, interval, interval);
            DROP FUNCTION make_event_partitions(timestamptz, timestamptz);
            DROP VIEW event_partitions;
            -- Its only row is there from the start, so nobody loses it.
            DROP TABLE event_store;
            """
        );
        DropTables();
        Execute.Sql(
            """
            DROP FUNCTION unit_of(text, text, jsonb, jsonb);
            DROP FUNCTION identity_of(text);
            DROP FUNCTION claim_environments(bigint[], bigint[], bigint, bigint, int);
            DROP FUNCTION claim_slots(bigint, int);
            DROP FUNCTION take_environment(bigint);
            DROP FUNCTION next_event_batch();
            DROP SEQUENCE event_batch_numbers;
            """
        );
    }
}
