using FluentMigrator;

namespace Experiments.Migrations;

/// <summary>
/// What aggregation derives from events: the exposures of each unit, its metric values, and the sums of each arm; and the results that
/// follow. All of it can be rebuilt from the events.
/// </summary>
[Migration(202611261405, "create aggregates")]
public sealed class CreateAggregates : TableMigration
{
    public override IReadOnlyList<string> Tables =>
        [
            "exposures",
            "exposure_counts",
            "unit_metrics",
            "metric_sums",
            "metric_steps",
            "metric_maturity",
            "counting_holds",
            "unreadable_definitions",
            "results",
            "result_refreshes",
            "warehouse_reads",
            "results_history",
        ];

    public override void Up() =>
        Execute.Sql(
            """
            -- Each column only ever takes in more (another bit, an earlier instant), so that the row is the same in whatever order
            -- events arrive.
            CREATE TABLE exposures (
                experiment_id bigint NOT NULL REFERENCES experiments,
                identity      uuid NOT NULL,
                identifier    text NOT NULL,
                assigned_variants integer NOT NULL,
                shown_variants integer NOT NULL,
                seen_at       timestamptz,
                first_shown   smallint,
                enrolled_at   timestamptz,
                paused_at     timestamptz,
                before_at     timestamptz,
                levels        jsonb,
                counts_in     smallint,
                draw          double precision,
                PRIMARY KEY (experiment_id, identity)
            );
            COMMENT ON TABLE exposures IS 'What each identity was shown in each experiment, and where it counts.';
            COMMENT ON COLUMN exposures.identity IS 'The first half of the SHA-256 of the identifier.';
            COMMENT ON COLUMN exposures.assigned_variants IS
                'The variants that assignment gives to the identity and to its aliases: a bit per variant, and bit 30 where the holdout of '
                'the experiment keeps one of them out.';
            COMMENT ON COLUMN exposures.shown_variants IS
                'The variants that it was shown while the experiment ran: a bit per variant, and bit 30 for any that the experiment does '
                'not have.';
            COMMENT ON COLUMN exposures.seen_at IS 'Its first exposure while the experiment ran.';
            COMMENT ON COLUMN exposures.first_shown IS 'The index of the variant that it was shown at seen_at.';
            COMMENT ON COLUMN exposures.enrolled_at IS 'Its first exposure at which the rollout included it.';
            COMMENT ON COLUMN exposures.paused_at IS 'Its first exposure during a pause.';
            COMMENT ON COLUMN exposures.before_at IS 'Its first exposure that names the experiment and lies before its start.';
            COMMENT ON COLUMN exposures.levels IS 'Its levels for the breakdowns of the experiment, in their order, at enrolled_at.';
            COMMENT ON COLUMN exposures.counts_in IS
                'The index of the variant in which it counts, -1 where it counts as held out; null where it is excluded.';
            COMMENT ON COLUMN exposures.draw IS 'A number from 0 to 1: a rollout above it includes the identity.';
            CREATE INDEX exposures_enrolled ON exposures (experiment_id, enrolled_at) INCLUDE (counts_in) WHERE counts_in IS NOT NULL;
            CREATE INDEX exposures_counting ON exposures (experiment_id, counts_in, identity) WHERE counts_in IS NOT NULL;

            CREATE TABLE exposure_counts (
                experiment_id bigint NOT NULL REFERENCES experiments,
                hour          timestamptz NOT NULL,
                outcome       text NOT NULL,
                count         bigint NOT NULL,
                PRIMARY KEY (experiment_id, hour, outcome)
            );
            COMMENT ON TABLE exposure_counts IS
                'How many identities count in each variant, or are excluded and why, by the hour of their first exposure.';
            COMMENT ON COLUMN exposure_counts.outcome IS
                'The key of a variant after "variant:", "held_out", or the reason why these are excluded.';
            COMMENT ON COLUMN exposure_counts.count IS 'Identities; for exposures without an identifier, exposures.';

            -- How many identities that count were exposed until an instant: in whole hours by outcome, and in the rest of the last one by
            -- the index of the variant.
            CREATE FUNCTION exposed_until(experiment bigint, until timestamptz) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
            DECLARE
                last timestamptz := date_trunc('hour', until, 'UTC');
            BEGIN
                RETURN jsonb_build_object(
                    'hours', (SELECT COALESCE(jsonb_object_agg(h.outcome, h.count), '{}') FROM (
                        SELECT c.outcome, sum(c.count)::bigint AS count FROM exposure_counts c
                        WHERE c.experiment_id = experiment AND c.hour < last GROUP BY 1) h),
                    'rest', (SELECT COALESCE(jsonb_object_agg(r.counts_in, r.count), '{}') FROM (
                        SELECT x.counts_in, count(*) AS count FROM exposures x
                        WHERE x.experiment_id = experiment AND x.counts_in IS NOT NULL
                            AND x.enrolled_at BETWEEN last AND until GROUP BY 1) r));
            END $$;

            CREATE TABLE unit_metrics (
                experiment_id bigint NOT NULL REFERENCES experiments,
                identity      uuid NOT NULL,
                arm           smallint,
                numbers       double precision[] NOT NULL,
                due_after     bigint,
                events        bytea NOT NULL,
                PRIMARY KEY (experiment_id, identity)
            ) WITH (fillfactor = 70);
            COMMENT ON TABLE unit_metrics IS
                'The events of an identity that the metrics of an experiment use, and the values computed from them.';
            -- Hashes and instants do not get smaller by being compressed.
            ALTER TABLE unit_metrics ALTER events SET STORAGE EXTERNAL;
            COMMENT ON COLUMN unit_metrics.arm IS 'The index of the variant in which the identity counts.';
            COMMENT ON COLUMN unit_metrics.numbers IS
                'The values of each metric, in the order in which they were attached: the value itself, and what its kind needs beside it '
                '(a denominator, a covariate, the steps of a funnel, and so on). Empty while all are 0.';
            COMMENT ON COLUMN unit_metrics.due_after IS
                'After how much running time of the experiment, in units of 100 ns, a window is over and the values may change. Null if '
                'none is open.';
            CREATE INDEX unit_metrics_due ON unit_metrics (experiment_id, due_after) WHERE due_after IS NOT NULL;
            COMMENT ON COLUMN unit_metrics.events IS 'A binary format of the service.';

            CREATE TABLE metric_sums (
                link_id    bigint NOT NULL REFERENCES experiment_metrics ON DELETE CASCADE,
                arm        smallint NOT NULL,
                y          numeric NOT NULL,
                yy         numeric NOT NULL,
                d          numeric NOT NULL,
                dd         numeric NOT NULL,
                yd         numeric NOT NULL,
                x          numeric NOT NULL,
                xx         numeric NOT NULL,
                yx         numeric NOT NULL,
                w          numeric NOT NULL,
                ww         numeric NOT NULL,
                xw         numeric NOT NULL,
                yw         numeric NOT NULL,
                dx         numeric NOT NULL,
                dw         numeric NOT NULL,
                y_non_zero bigint NOT NULL,
                d_non_zero bigint NOT NULL,
                not_numbers bigint NOT NULL DEFAULT 0,
                waiting     bigint NOT NULL DEFAULT 0,
                PRIMARY KEY (link_id, arm)
            );
            COMMENT ON TABLE metric_sums IS
                'The sufficient statistics of each metric and arm: sums over identities of the value y, the denominator d, the '
                'covariate x and that of the denominator w. Exact, so that what is subtracted leaves nothing behind.';
            COMMENT ON COLUMN metric_sums.y_non_zero IS 'How many identities of the arm have a y other than 0.';
            COMMENT ON COLUMN metric_sums.d_non_zero IS 'How many have a d other than 0.';
            COMMENT ON COLUMN metric_sums.not_numbers IS 'How many events have no number where there should be one.';
            COMMENT ON COLUMN metric_sums.waiting IS 'Of retention,
                how many identities have started but count only once their window is over.';

            CREATE TABLE metric_maturity (
                link_id        bigint PRIMARY KEY REFERENCES experiment_metrics ON DELETE CASCADE,
                as_of          timestamptz NOT NULL,
                exposed_until  timestamptz,
                complete_until timestamptz
            );
            COMMENT ON TABLE metric_maturity IS
                'For metrics whose identities count once their windows are over: up to when that has been taken into account.';
            COMMENT ON COLUMN metric_maturity.as_of IS 'The values of all identities are those of this instant.';
            COMMENT ON COLUMN metric_maturity.exposed_until IS
                'Identities exposed until then count. Null if there are none, and for retention, whose windows begin with an event.';
            COMMENT ON COLUMN metric_maturity.complete_until IS
                'Identities exposed until then have had their whole window; the windows of others that count were cut short at the end.';

            CREATE TABLE metric_steps (
                link_id bigint NOT NULL REFERENCES experiment_metrics ON DELETE CASCADE,
                arm     smallint NOT NULL,
                step    smallint NOT NULL,
                count   bigint NOT NULL,
                PRIMARY KEY (link_id, arm, step)
            );
            COMMENT ON TABLE metric_steps IS 'Of a funnel, how many identities reached this step and no further.';

            CREATE TABLE counting_holds (
                environment_id bigint PRIMARY KEY REFERENCES environments ON DELETE CASCADE,
                since          timestamptz NOT NULL DEFAULT clock_timestamp(),
                reason         text NOT NULL CHECK (reason IN ('locked', 'failed'))
            );
            COMMENT ON TABLE counting_holds IS
                'Environments whose events cannot be aggregated at the moment, while those of all others are.';

            CREATE TABLE unreadable_definitions (
                experiment_id bigint NOT NULL REFERENCES experiments,
                link_id       bigint REFERENCES experiment_metrics ON DELETE CASCADE,
                since         timestamptz NOT NULL DEFAULT clock_timestamp(),
                error         text NOT NULL,
                UNIQUE NULLS NOT DISTINCT (experiment_id, link_id)
            );
            COMMENT ON TABLE unreadable_definitions IS
                'Experiments and metrics that aggregation skips, because their definition cannot be read.';
            COMMENT ON COLUMN unreadable_definitions.link_id IS 'The metric of the experiment; null where it is the experiment itself.';

            CREATE TABLE results (
                experiment_id        bigint PRIMARY KEY REFERENCES experiments,
                payload              jsonb,
                as_of                timestamptz,
                evidence             jsonb,
                epoch                integer NOT NULL DEFAULT 0,
                looked_at            timestamptz,
                erased               integer NOT NULL DEFAULT 0,
                last_error           text,
                last_error_at        timestamptz
            );
            COMMENT ON TABLE results IS
                'The last computed results of each experiment: a cache of what follows from the sums, and what the hourly looks found.';
            COMMENT ON COLUMN results.evidence IS
                'The smallest p-values and the intersection of the intervals over the hourly looks.';
            COMMENT ON COLUMN results.epoch IS
                'Raised when what was computed or found before is no longer valid, so that a computation in progress does not store it.';
            COMMENT ON COLUMN results.erased IS 'How many identities have been erased since the results are final.';
            COMMENT ON COLUMN results.looked_at IS 'The last of the hourly looks.';

            -- Apart from the results, so that whoever has asked for a refresh holds up nobody who computes them.
            CREATE TABLE result_refreshes (
                experiment_id bigint PRIMARY KEY REFERENCES experiments,
                requested_at  timestamptz NOT NULL
            );
            COMMENT ON TABLE result_refreshes IS 'When a caller last asked for the results to be refreshed, which is limited.';

            CREATE TABLE warehouse_reads (
                experiment_id bigint PRIMARY KEY REFERENCES experiments,
                as_of         timestamptz,
                rows          bigint,
                seconds       double precision,
                error         text,
                error_at      timestamptz,
                definition    text NOT NULL,
                CONSTRAINT warehouse_reads_complete CHECK (num_nonnulls(as_of, rows, seconds) IN (0, 3)),
                CONSTRAINT warehouse_reads_failed CHECK ((error IS NULL) = (error_at IS NULL))
            );
            COMMENT ON TABLE warehouse_reads IS 'The last time that an experiment was read from its warehouse, and the last failure since.';
            COMMENT ON COLUMN warehouse_reads.definition IS
                'A hash of all that the last attempt depended on: tables, connection, runs, metrics.';

            CREATE TABLE results_history (
                experiment_id bigint NOT NULL REFERENCES experiments,
                day           date NOT NULL,
                payload       jsonb NOT NULL,
                as_of         timestamptz NOT NULL,
                PRIMARY KEY (experiment_id, day)
            );
            COMMENT ON TABLE results_history IS 'The last results of each day.';
            """
        );

    public override void Down()
    {
        DropTables();
        Execute.Sql("DROP FUNCTION exposed_until;");
    }
}
