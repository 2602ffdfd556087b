using Dapper;
using Experiments.Api.MetricDefinitions;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Pending changes to the metric sums, by arm: values of identities to add or subtract.</summary>
internal sealed class MetricSumsDelta
{
    private const string Sum = """
        INSERT INTO metric_sums AS s (link_id, arm, y, yy, d, dd, yd, x, xx, yx, w, ww, xw, yw, dx, dw, y_non_zero,
            d_non_zero, not_numbers, waiting)
        SELECT link_id, arm, y::numeric, yy::numeric, d::numeric, dd::numeric, yd::numeric, x::numeric, xx::numeric, yx::numeric,
            w::numeric, ww::numeric, xw::numeric, yw::numeric, dx::numeric, dw::numeric, y_non_zero, d_non_zero, not_numbers, waiting
        FROM unnest(@Links, @Arms, @Y, @YY, @D, @DD, @YD, @X, @XX, @YX, @W, @WW, @XW, @YW, @DX, @DW, @YNonZero,
                @DNonZero, @NotNumbers, @Waiting)
            AS g(link_id, arm, y, yy, d, dd, yd, x, xx, yx, w, ww, xw, yw, dx, dw, y_non_zero, d_non_zero, not_numbers, waiting)
        ON CONFLICT (link_id, arm) DO UPDATE SET
            y = s.y + excluded.y, yy = s.yy + excluded.yy, d = s.d + excluded.d, dd = s.dd + excluded.dd, yd = s.yd + excluded.yd,
            x = s.x + excluded.x, xx = s.xx + excluded.xx, yx = s.yx + excluded.yx,
            w = s.w + excluded.w, ww = s.ww + excluded.ww, xw = s.xw + excluded.xw, yw = s.yw + excluded.yw, dx = s.dx + excluded.dx,
            dw = s.dw + excluded.dw,
            y_non_zero = s.y_non_zero + excluded.y_non_zero, d_non_zero = s.d_non_zero + excluded.d_non_zero,
            not_numbers = s.not_numbers + excluded.not_numbers, waiting = s.waiting + excluded.waiting
        """;

    private const string Count = """
        INSERT INTO metric_steps AS s (link_id, arm, step, count)
        SELECT * FROM unnest(@Links, @Arms, @Steps, @Counts)
        ON CONFLICT (link_id, arm, step) DO UPDATE SET count = s.count + excluded.count
        """;

    private readonly Dictionary<(long Link, short Arm), Sums> _sums = [];
    private readonly Dictionary<(long Link, short Arm, short Step), long> _steps = [];

    /// <summary>Adds a value to its arm, or subtracts it if the sign is negative.</summary>
    public void Add(long link, short arm, MetricValue value, int sign)
    {
        if (value.IsZero)
        {
            return;
        }

        if (!_sums.TryGetValue((link, arm), out var sums))
        {
            _sums.Add((link, arm), sums = new());
        }

        sums.Add(value, sign);
        if (value.Steps > 0)
        {
            var index = (link, arm, (short)value.Steps);
            _steps[index] = _steps.GetValueOrDefault(index) + sign;
        }
    }

    /// <summary>Adds the changes to the stored sums.</summary>
    public async Task Post(NpgsqlConnection connection)
    {
        var sums = _sums.OrderBy(row => row.Key).ToList();
        if (sums.Count > 0)
        {
            await connection.ExecuteAsync(
                Sum,
                new
                {
                    Links = sums.Select(row => row.Key.Link).ToArray(),
                    Arms = sums.Select(row => row.Key.Arm).ToArray(),
                    Y = Text(sum => sum.Y),
                    YY = Text(sum => sum.YY),
                    D = Text(sum => sum.D),
                    DD = Text(sum => sum.DD),
                    YD = Text(sum => sum.YD),
                    X = Text(sum => sum.X),
                    XX = Text(sum => sum.XX),
                    YX = Text(sum => sum.YX),
                    W = Text(sum => sum.W),
                    WW = Text(sum => sum.WW),
                    XW = Text(sum => sum.XW),
                    YW = Text(sum => sum.YW),
                    DX = Text(sum => sum.DX),
                    DW = Text(sum => sum.DW),
                    YNonZero = sums.Select(row => row.Value.YNonZero).ToArray(),
                    DNonZero = sums.Select(row => row.Value.DNonZero).ToArray(),
                    NotNumbers = sums.Select(row => row.Value.NotNumbers).ToArray(),
                    Waiting = sums.Select(row => row.Value.Waiting).ToArray(),
                }
            );
        }

        var steps = _steps.Where(row => row.Value != 0).OrderBy(row => row.Key).ToList();
        if (steps.Count > 0)
        {
            await connection.ExecuteAsync(
                Count,
                new
                {
                    Links = steps.Select(row => row.Key.Link).ToArray(),
                    Arms = steps.Select(row => row.Key.Arm).ToArray(),
                    Steps = steps.Select(row => row.Key.Step).ToArray(),
                    Counts = steps.Select(row => row.Value).ToArray(),
                }
            );
        }

        string[] Text(Func<Sums, ExactSum> of) => [.. sums.Select(row => of(row.Value).ToString())];
    }

    private sealed class Sums
    {
        public ExactSum Y { get; } = new();

        public ExactSum YY { get; } = new();

        public ExactSum D { get; } = new();

        public ExactSum DD { get; } = new();

        public ExactSum YD { get; } = new();

        public ExactSum X { get; } = new();

        public ExactSum XX { get; } = new();

        public ExactSum YX { get; } = new();

        public ExactSum W { get; } = new();

        public ExactSum WW { get; } = new();

        public ExactSum XW { get; } = new();

        public ExactSum YW { get; } = new();

        public ExactSum DX { get; } = new();

        public ExactSum DW { get; } = new();

        public long YNonZero { get; private set; }

        public long DNonZero { get; private set; }

        public long NotNumbers { get; private set; }

        public long Waiting { get; private set; }

        public void Add(MetricValue value, int sign)
        {
            var y = Decimals.Of(value.Y);
            Y.Add(y, sign);
            YY.Add(y, y, sign);
            YNonZero += value.Y != 0 ? sign : 0;
            DNonZero += value.D != 0 ? sign : 0;
            NotNumbers += sign * value.NotNumbers;
            Waiting += sign * value.Waiting;
            if (value.D != 0)
            {
                var d = Decimals.Of(value.D);
                D.Add(d, sign);
                DD.Add(d, d, sign);
                YD.Add(y, d, sign);
            }

            if (value.X != 0)
            {
                var x = Decimals.Of(value.X);
                X.Add(x, sign);
                XX.Add(x, x, sign);
                YX.Add(y, x, sign);
                // Only a ratio has a d other than 0.
                if (value.D != 0)
                {
                    DX.Add(Decimals.Of(value.D), x, sign);
                }
            }

            if (value.W != 0)
            {
                var w = Decimals.Of(value.W);
                W.Add(w, sign);
                WW.Add(w, w, sign);
                XW.Add(Decimals.Of(value.X), w, sign);
                YW.Add(y, w, sign);
                DW.Add(Decimals.Of(value.D), w, sign);
            }
        }
    }
}
