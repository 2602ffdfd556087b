using Dapper;
using Experiments.Api.MetricDefinitions;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>
/// The sums of a metric whose values are clamped: to percentiles over all arms together, by the nearest rank, or to a cap.
/// </summary>
internal static class WinsorizedSums
{
    // Percentiles are taken in the order negative values, zeros, positive values. Zeros count only if asked for; most identities have no
    // row, because their value is zero. The covariate is clamped in the same way, to its own percentiles or to the same cap.
    private const string Sql = """
        WITH measured AS (
            SELECT arm, COALESCE(numbers[@Y], 0) AS y, COALESCE(numbers[@X], 0) AS x FROM unit_metrics
            WHERE experiment_id = @experimentId AND arm >= 0 AND numbers <> '{}'
        ), ranked AS (
            SELECT kind, value, row_number() OVER (PARTITION BY kind ORDER BY value) AS rank
            FROM (SELECT 'y' AS kind, y AS value FROM measured WHERE y <> 0
                UNION ALL SELECT 'x', x FROM measured WHERE x <> 0) v
        ), counted AS (
            SELECT kind, count(*) FILTER (WHERE value < 0) AS negative, CASE WHEN @countsZeros THEN @n - count(*) ELSE 0 END AS zeros,
                count(*) AS others
            FROM ranked GROUP BY kind
        ), picked AS (
            SELECT *, GREATEST(1, ceil(@lower * (zeros + others)))::bigint AS low,
                GREATEST(1, ceil(@upper * (zeros + others)))::bigint AS high
            FROM counted
        ), limits AS (
            SELECT p.kind,
                CASE WHEN @cap::float8 IS NOT NULL THEN '-infinity'::float8
                     WHEN p.low <= p.negative THEN (SELECT r.value FROM ranked r WHERE r.kind = p.kind AND r.rank = p.low)
                     WHEN p.low <= p.negative + p.zeros THEN 0
                     ELSE (SELECT r.value FROM ranked r WHERE r.kind = p.kind AND r.rank = p.low - p.zeros) END AS lowest,
                CASE WHEN @cap::float8 IS NOT NULL THEN @cap
                     WHEN p.high <= p.negative THEN (SELECT r.value FROM ranked r WHERE r.kind = p.kind AND r.rank = p.high)
                     WHEN p.high <= p.negative + p.zeros THEN 0
                     ELSE (SELECT r.value FROM ranked r WHERE r.kind = p.kind AND r.rank = p.high - p.zeros) END AS highest
            FROM picked p
        ), held AS (
            SELECT m.arm, m.y AS raw,
                CASE WHEN m.y = 0 AND NOT @countsZeros THEN 0 ELSE LEAST(GREATEST(m.y, y.lowest), y.highest) END AS y,
                CASE WHEN m.x = 0 THEN 0 ELSE LEAST(GREATEST(m.x, x.lowest), x.highest) END AS x
            FROM measured m
            LEFT JOIN limits y ON y.kind = 'y'
            LEFT JOIN limits x ON x.kind = 'x'
        )
        SELECT h.arm, sum(h.y::numeric)::float8 AS y, sum(h.y::numeric * h.y::numeric)::float8 AS yy,
            COALESCE(sum(h.x::numeric), 0)::float8 AS x, COALESCE(sum(h.x::numeric * h.x::numeric), 0)::float8 AS xx,
            COALESCE(sum(h.y::numeric * h.x::numeric), 0)::float8 AS yx, count(*) AS rows,
            count(*) FILTER (WHERE h.y <> 0) AS non_zero, count(*) FILTER (WHERE h.y <> h.raw) AS changed,
            (SELECT NULLIF(lowest, '-infinity') FROM limits WHERE kind = 'y') AS lowest,
            (SELECT highest FROM limits WHERE kind = 'y') AS highest
        FROM held h WHERE h.y IS NOT NULL GROUP BY h.arm
        """;

    /// <summary>The metric with the sums of its clamped values.</summary>
    public static async Task<MeasuredMetric> Of(
        NpgsqlConnection connection,
        long experimentId,
        MeasuredMetric metric,
        Winsorization held,
        IReadOnlyList<long> identities
    )
    {
        var rows = (
            await connection.QueryAsync<Row>(
                Sql,
                new
                {
                    experimentId,
                    // Counted from one.
                    Y = metric.Layout.Y + 1,
                    X = metric.Layout.X + 1,
                    n = identities.Sum(),
                    lower = held.Lower ?? 0,
                    upper = held.Upper ?? 1,
                    cap = held.Cap,
                    countsZeros = held.CountsZeros,
                }
            )
        ).ToDictionary(row => (int)row.Arm);
        if (rows.Values.FirstOrDefault() is not { } first)
        {
            return metric;
        }

        // What becomes of zero is the same in every arm.
        var zero = held.CountsZeros ? Math.Clamp(0, first.Lowest ?? 0, first.Highest ?? 0) : 0;
        return metric with
        {
            Exact = [],
            Winsorized = new(first.Lowest, first.Highest, rows.Values.Sum(row => row.Changed)),
            Sums =
            [
                .. metric.Sums.Select(
                    (sums, arm) =>
                    {
                        var row = rows.GetValueOrDefault(arm);
                        var zeros = identities[arm] - (row?.Rows ?? 0);
                        return sums with
                        {
                            Sum = (row?.Y ?? 0) + (zeros * zero),
                            SumSquares = (row?.YY ?? 0) + (zeros * zero * zero),
                            CovariateSum = row?.X ?? 0,
                            CovariateSumSquares = row?.XX ?? 0,
                            CovariateCrossSum = row?.YX ?? 0,
                            NonZero = (row?.NonZero ?? 0) + (zero == 0 ? 0 : zeros),
                        };
                    }
                ),
            ],
        };
    }

    private sealed record Row
    {
        public short Arm { get; init; }

        public double Y { get; init; }

        public double YY { get; init; }

        public double X { get; init; }

        public double XX { get; init; }

        public double YX { get; init; }

        public long Rows { get; init; }

        public long NonZero { get; init; }

        public long Changed { get; init; }

        public double? Lowest { get; init; }

        public double? Highest { get; init; }
    }
}

/// <summary>The limits to which values were clamped, in units of the metric, and how many values were changed.</summary>
internal sealed record WinsorizedView(double? Lowest, double? Highest, long Changed);
