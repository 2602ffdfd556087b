using Dapper;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Statistics;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>
/// Computes the results of one metric by group of identities: by their level of a trait, or by the day of their first exposure. Every
/// identity that counts belongs to one group, so the groups add up to the whole. Groups are compared without the covariate.
/// </summary>
internal sealed class GroupedResults(FullPasses passes, ResultsReader reader)
{
    private const int MostLevels = 20;
    private const int MostDays = 100;

    // Clamped values stay within the limits of the whole. Windows that are not over do not count, in n as in the sums.
    private const string Sql = """
        WITH exposed AS (
            SELECT x.identity, x.counts_in AS arm,
                CASE WHEN @level::int IS NULL THEN to_char(x.enrolled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
                     ELSE x.levels->>@level END AS level
            FROM exposures x
            LEFT JOIN metric_maturity t ON t.link_id = @Link
            WHERE x.experiment_id = @experimentId AND x.counts_in >= 0 AND (NOT @isWindowed OR x.enrolled_at <= t.exposed_until)
        ), picked AS (
            SELECT level FROM exposed WHERE level IS NOT NULL GROUP BY level
            ORDER BY CASE WHEN @level::int IS NULL THEN level END DESC, count(*) DESC, level LIMIT @most
        ), measured AS (
            -- As text, which has all digits; the cast of a number keeps fifteen of them.
            SELECT e.arm, p.level, e.level IS NOT NULL AND p.level IS NULL AS is_rest, COALESCE(m.numbers[@D], 0)::text::numeric AS d,
                (CASE WHEN COALESCE(m.numbers[@Y], 0) = 0 AND NOT @countsZeros THEN 0
                     ELSE LEAST(GREATEST(COALESCE(m.numbers[@Y], 0), @lowest::float8), @highest::float8) END)::text::numeric AS y
            FROM exposed e
            LEFT JOIN picked p ON p.level = e.level
            LEFT JOIN unit_metrics m ON m.experiment_id = @experimentId AND m.identity = e.identity
        )
        SELECT level, is_rest, arm, count(*) AS n, json_build_object('y', sum(y), 'yy', sum(y * y),
            'd', sum(d), 'dd', sum(d * d), 'yd', sum(y * d),
            'y_non_zero', count(*) FILTER (WHERE y <> 0), 'd_non_zero', count(*) FILTER (WHERE d <> 0))::text AS sums
        FROM measured GROUP BY 1, 2, 3
        """;

    /// <summary>By the levels of each trait.</summary>
    /// <param name="experimentId">The experiment, which has started.</param>
    /// <param name="metric">The metric, by its id; null for the primary one.</param>
    /// <param name="breakdowns">The traits of the experiment, and the index of each.</param>
    /// <param name="ct">Ends it.</param>
    public Task<Result<BreakdownsView>> ByLevel(
        long experimentId,
        long? metric,
        IReadOnlyList<(int Index, string Trait)> breakdowns,
        CancellationToken ct
    ) =>
        Read(
                experimentId,
                metric,
                async (connection, input, measured) =>
                {
                    var found = new List<BreakdownView>();
                    foreach (var (index, trait) in breakdowns)
                    {
                        ct.ThrowIfCancellationRequested();
                        found.Add(BreakdownView.Of(trait, await Groups(connection, experimentId, input, measured, index), measured, input));
                    }

                    return new BreakdownsView(input.AsOf, measured.Metric, measured.Name, found);
                },
                ct
            )
            .OrDetach(ct);

    /// <summary>By the day of the first exposure.</summary>
    /// <inheritdoc cref="ByLevel"/>
    public Task<Result<DaysView>> ByDay(long experimentId, long? metric, CancellationToken ct) =>
        Read(
                experimentId,
                metric,
                async (connection, input, measured) =>
                    DaysView.Of(await Groups(connection, experimentId, input, measured, level: null), measured, input),
                ct
            )
            .OrDetach(ct);

    private Task<Result<T>> Read<T>(
        long experimentId,
        long? metric,
        Func<NpgsqlConnection, ResultsInput, MeasuredMetric, Task<T>> make,
        CancellationToken ct
    )
        where T : class =>
        passes.Read<Result<T>>(
            async connection =>
            {
                var found = await reader.ReadMetric(connection, experimentId, metric);
                if (found.Value is not var (input, measured))
                {
                    return found.Failure!;
                }

                var identities = input.IdentitiesOf(measured);
                return await make(
                    connection,
                    input,
                    measured.Definition.Winsorize is { } held && identities.Sum() > 0
                        ? await WinsorizedSums.Of(connection, experimentId, measured, held, identities)
                        : measured
                );
            },
            ct
        );

    private static async Task<List<IdentityGroup>> Groups(
        NpgsqlConnection connection,
        long experimentId,
        ResultsInput input,
        MeasuredMetric metric,
        int? level
    )
    {
        var rows = await connection.QueryAsync<Row>(
            Sql,
            new
            {
                experimentId,
                metric.Link,
                level,
                most = level is null ? MostDays : MostLevels,
                isWindowed = metric.Definition.Window is not null,
                // Counted from one; the index of what a metric does not have is null, and so is the number.
                Y = metric.Layout.Y + 1,
                D = metric.Layout.D + 1,
                lowest = metric.Winsorized?.Lowest,
                highest = metric.Winsorized?.Highest,
                countsZeros = metric.Definition.Winsorize?.CountsZeros == true,
            }
        );
        return
        [
            .. rows.GroupBy(row => (row.Level, row.IsRest))
                .Select(group =>
                {
                    var arms = new SufficientStatistics[input.Variants.Count];
                    foreach (var row in group)
                    {
                        var sums = StoredJson.Parse(row.Sums)!;
                        arms[row.Arm] = MeasuredMetricReader.SumsOf(sums) with { N = row.N, Centred = new ExactSums(sums).About(row.N) };
                    }

                    return new IdentityGroup(group.Key.Level, group.Key.IsRest, arms);
                }),
        ];
    }

    private sealed record Row(string? Level, bool IsRest, short Arm, long N, string Sums);
}
