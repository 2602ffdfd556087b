using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>
/// Beside the sums of an arm, how many of its identities have a value other than 0: the mean of revenue that three of ten thousand
/// have brought is no basis for a verdict, however many identities there are.
/// </summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261126100000_count_non_zero_values")]
public sealed class CountNonZeroValues : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        -- Nobody folds meanwhile.
        SELECT pg_advisory_xact_lock(hashtext('folding'));
        ALTER TABLE metric_sums ADD y_non_zero bigint NOT NULL DEFAULT 0, ADD d_non_zero bigint NOT NULL DEFAULT 0;
        COMMENT ON COLUMN metric_sums.y_non_zero IS 'How many identities of the arm have a y other than 0.';
        COMMENT ON COLUMN metric_sums.d_non_zero IS 'How many have a d other than 0.';
        UPDATE metric_sums s SET
            y_non_zero = (SELECT count(*) FROM measurements m WHERE m.experiment_id = l.experiment_id AND m.arm = s.arm AND m.numbers[2 * l.place + 1] <> 0),
            d_non_zero = CASE WHEN l.aggregation NOT IN ('ratio', 'retention') THEN 0
                ELSE (SELECT count(*) FROM measurements m WHERE m.experiment_id = l.experiment_id AND m.arm = s.arm AND m.numbers[2 * l.place + 2] <> 0) END
        FROM (SELECT id, experiment_id, aggregation, row_number() OVER (PARTITION BY experiment_id ORDER BY id) - 1 AS place FROM experiment_metrics) l
        WHERE l.id = s.link_id;
        -- What was said by another test is said anew.
        UPDATE results SET payload = NULL, as_of = NULL;
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("ALTER TABLE metric_sums DROP y_non_zero, DROP d_non_zero");
}
