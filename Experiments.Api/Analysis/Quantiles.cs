using Dapper;
using Experiments.Api.Statistics;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>Quantiles of the values of identities, as information beside the verdicts.</summary>
/// <remarks>
/// The quantile q of n identities is the value of rank ⌈qn⌉. Its interval reaches from the value of rank nq - z √(nq(1 - q)) to that of
/// rank
/// nq + z √(nq(1 - q)) + 1: the outer interval, which needs no density. Half its width over z is the standard error, and a difference of
/// two
/// arms is taken for normal. Identities are independent of each other. A. Deng, U. Knoblich and J. Lu, Applying the delta method in metric
/// analytics, KDD 2018. For a single look; it is not used for verdicts.
/// </remarks>
internal static class Quantiles
{
    private static readonly double Z = -Normal.Quantile(0.025);

    // Most identities have no row, because their value is zero. The order is negative values, zeros, positive values.
    private const string Sql = """
        WITH measured AS (
            SELECT arm, numbers[@Y] AS y FROM unit_metrics
            WHERE experiment_id = @experimentId AND arm >= 0 AND numbers[@Y] <> 0
        ), ranked AS (
            SELECT arm, y, row_number() OVER (PARTITION BY arm ORDER BY y) AS rank FROM measured
        ), counted AS (
            SELECT arm, count(*) AS others, count(*) FILTER (WHERE y < 0) AS negative FROM measured GROUP BY arm
        ), wanted AS (
            SELECT w.*, COALESCE(c.negative, 0) AS negative, w.n - COALESCE(c.others, 0) AS zeros
            FROM unnest(@Arms, @Ranks, @Ns) WITH ORDINALITY AS w(arm, rank, n, position)
            LEFT JOIN counted c ON c.arm = w.arm
        )
        SELECT COALESCE(r.y, 0) AS y
        FROM wanted w
        LEFT JOIN ranked r ON r.arm = w.arm AND (w.rank <= w.negative OR w.rank > w.negative + w.zeros)
            AND r.rank = CASE WHEN w.rank <= w.negative THEN w.rank ELSE w.rank - w.zeros END
        ORDER BY w.position
        """;

    /// <summary>The quantiles of each arm, by the index of the variant; none for an arm with fewer than 50 identities.</summary>
    public static async Task<IReadOnlyList<IReadOnlyList<QuantileView>>> Of(
        NpgsqlConnection connection,
        long experimentId,
        MeasuredMetric metric,
        IReadOnlyList<long> identities
    )
    {
        var wanted = identities
            .Index()
            .Where(arm => arm.Item >= Floor.Identities)
            .SelectMany(arm =>
                metric.Definition.Quantiles!.SelectMany(quantile => Ranks(quantile, arm.Item).Select(rank => (arm.Index, rank, arm.Item)))
            )
            .ToList();
        var values = (
            await connection.QueryAsync<double>(
                Sql,
                new
                {
                    experimentId,
                    Y = metric.Layout.Y + 1,
                    Arms = wanted.Select(one => (short)one.Index).ToArray(),
                    Ranks = wanted.Select(one => one.rank).ToArray(),
                    Ns = wanted.Select(one => one.Item).ToArray(),
                }
            )
        ).AsList();
        var next = 0;
        return
        [
            .. identities.Select(n =>
                (IReadOnlyList<QuantileView>)
                    [
                        .. n < Floor.Identities
                            ? []
                            : metric.Definition.Quantiles!.Select(quantile => new QuantileView(
                                quantile,
                                values[next++],
                                [values[next++], values[next++]]
                            )),
                    ]
            ),
        ];
    }

    /// <summary>How the quantiles of a treatment differ from those of control.</summary>
    public static IReadOnlyList<QuantileDifference>? Differences(IReadOnlyList<IReadOnlyList<QuantileView>>? arms, int treatment) =>
        arms is null || arms[0].Count == 0 || arms[treatment].Count == 0
            ? null
            :
            [
                .. arms[0]
                    .Zip(
                        arms[treatment],
                        (control, other) =>
                        {
                            var difference = other.Value - control.Value;
                            var error = Math.Sqrt(Square(StandardError(control)) + Square(StandardError(other)));
                            return new QuantileDifference(
                                control.Quantile,
                                difference,
                                error,
                                [difference - (Z * error), difference + (Z * error)]
                            );
                        }
                    ),
            ];

    private static double StandardError(QuantileView view) => (view.Ci[1] - view.Ci[0]) / (2 * Z);

    private static double Square(double x) => x * x;

    // The rank of the quantile, and those of its interval; from one to n.
    private static long[] Ranks(double quantile, long n)
    {
        var (middle, width) = (n * quantile, Z * Math.Sqrt(n * quantile * (1 - quantile)));
        return
        [
            Math.Clamp((long)Math.Ceiling(middle), 1, n),
            Math.Clamp((long)Math.Floor(middle - width), 1, n),
            Math.Clamp((long)Math.Ceiling(middle + width) + 1, 1, n),
        ];
    }
}

/// <summary>A quantile of the values of an arm's identities, with its interval for a single look.</summary>
internal sealed record QuantileView(double Quantile, double Value, IReadOnlyList<double> Ci);

/// <summary>By how much a quantile of a treatment differs from that of control, with its interval for a single look.</summary>
internal sealed record QuantileDifference(double Quantile, double Difference, double StandardError, IReadOnlyList<double> Ci);
