using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// What results are made of. The events that a metric is about are kept by identity, so that whatever comes late (an event, or an
/// exposure from before it) costs no more than the identity's own events. From them follows the identity's value, and from the
/// values the sums of each arm, which are exact (numeric), so that what is taken out again leaves nothing behind.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261122160100_create_results")]
public sealed class CreateResults : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        CREATE TABLE metric_events (
            link_id  bigint NOT NULL REFERENCES experiment_metrics ON DELETE CASCADE,
            identity uuid NOT NULL,
            at       timestamptz NOT NULL,
            key      bigint NOT NULL,
            slot     smallint NOT NULL,
            value    double precision NOT NULL,
            PRIMARY KEY (link_id, identity, at, key, slot)
        );
        COMMENT ON COLUMN metric_events.slot IS 'Which of the events of the metric''s definition it is: 0 the only one or the numerator, 1 the denominator; of a funnel the step.';

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
        COMMENT ON COLUMN metric_values.y IS 'The metric of the identity; d the denominator of a ratio; x the metric before its exposure; steps how far it came in a funnel. An identity of which all are nought has no row.';

        CREATE TABLE metric_sums (
            link_id bigint NOT NULL REFERENCES experiment_metrics ON DELETE CASCADE,
            arm     smallint NOT NULL,
            y       numeric NOT NULL,
            yy      numeric NOT NULL,
            d       numeric NOT NULL,
            dd      numeric NOT NULL,
            yd      numeric NOT NULL,
            x       numeric NOT NULL,
            xx      numeric NOT NULL,
            yx      numeric NOT NULL,
            PRIMARY KEY (link_id, arm)
        );

        -- Of a funnel, how many identities came as far as this step and no further.
        CREATE TABLE metric_steps (
            link_id bigint NOT NULL REFERENCES experiment_metrics ON DELETE CASCADE,
            arm     smallint NOT NULL,
            step    smallint NOT NULL,
            count   bigint NOT NULL,
            PRIMARY KEY (link_id, arm, step)
        );

        CREATE TABLE results (
            experiment_id        bigint PRIMARY KEY REFERENCES experiments,
            payload              jsonb,
            as_of                timestamptz,
            refresh_requested_at timestamptz,
            last_error           text,
            last_error_at        timestamptz
        );

        CREATE TABLE results_history (
            experiment_id bigint NOT NULL REFERENCES experiments,
            day           date NOT NULL,
            payload       jsonb NOT NULL,
            as_of         timestamptz NOT NULL,
            PRIMARY KEY (experiment_id, day)
        );
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DROP TABLE results_history;
        DROP TABLE results;
        DROP TABLE metric_steps;
        DROP TABLE metric_sums;
        DROP TABLE metric_values;
        DROP TABLE metric_events;
        """);
}
