using System.Globalization;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Support;

/// <summary>An experiment with every kind of metric, and random events that try all that makes a difference to them.</summary>
internal static class RandomWorld
{
    /// <summary>All sums of an experiment, exactly.</summary>
    public const string Sums = """
        SELECT l.name || ' ' || s.arm || ' ' || trim_scale(s.y) || ' ' || trim_scale(s.yy)
               || ' ' || trim_scale(s.d) || ' ' || trim_scale(s.dd)
               || ' ' || trim_scale(s.yd)
               || ' ' || trim_scale(s.x) || ' ' || trim_scale(s.xx) || ' ' || trim_scale(s.yx)
               || ' ' || trim_scale(s.w) || ' ' || trim_scale(s.ww) || ' ' || trim_scale(s.xw) || ' ' || trim_scale(s.yw)
               || ' ' || trim_scale(s.dx) || ' ' || trim_scale(s.dw) || ' ' || s.y_non_zero || ' ' || s.d_non_zero
               || ' ' || s.not_numbers || ' ' || s.waiting
               || ' ' || COALESCE((SELECT string_agg(t.step || ':' || t.count, ',' ORDER BY t.step) FROM metric_steps t
                   WHERE t.link_id = l.id AND t.arm = s.arm AND t.count <> 0), '')
        FROM metric_sums s JOIN experiment_metrics l ON l.id = s.link_id
        WHERE l.experiment_id = @Id AND NOT (s.y = 0 AND s.d = 0 AND s.x = 0 AND s.w = 0 AND s.not_numbers = 0
            AND s.waiting = 0 AND NOT EXISTS (SELECT FROM metric_steps t
            WHERE t.link_id = l.id AND t.arm = s.arm AND t.count <> 0))
        ORDER BY l.id, s.arm
        """;

    /// <summary>Whether the windows that are over have been taken into account everywhere.</summary>
    public const string HasMatured = """
        SELECT NOT EXISTS (
            SELECT FROM experiment_metrics l JOIN experiments e ON e.id = l.experiment_id
            LEFT JOIN metric_maturity t ON t.link_id = l.id
            WHERE l.window_length > '0' AND e.started_at IS NOT NULL AND e.source IS NULL AND t.as_of IS NULL)
        """;

    /// <summary>Metrics of every kind, with windows, covariates, filters and limits.</summary>
    public static async Task<List<Reply>> EveryKindOfMetric(Given given)
    {
        var metrics = new List<Reply>
        {
            await given.AMetric("occurrence", "occurrence", new { @event = "buy", lookback_days = 1 }),
            await given.AMetric(
                "count",
                "count",
                new
                {
                    @event = "buy",
                    filters = new[]
                    {
                        new
                        {
                            property = "metadata.page",
                            @operator = "in",
                            value = new[] { "a", "b" },
                        },
                    },
                }
            ),
            await given.AMetric(
                "sum",
                "sum",
                new
                {
                    @event = "buy",
                    property = "value",
                    winsorize = new { lower = 0.05, upper = 0.95 },
                    lookback_days = 1,
                }
            ),
            await given.AMetric(
                "mean",
                "mean",
                new
                {
                    @event = "buy",
                    property = "metadata.amount",
                    conversion_window_hours = 2,
                }
            ),
            await given.AMetric(
                "ratio",
                "ratio",
                new
                {
                    @event = "buy",
                    property = "value",
                    denominator = new { @event = "view" },
                    lookback_days = 1,
                }
            ),
            await given.AMetric(
                "funnel",
                "funnel",
                new { steps = new[] { new { @event = "view" }, new { @event = "cart" }, new { @event = "buy" } }, window_hours = 1 }
            ),
            await given.AMetric(
                "retention",
                "retention",
                new
                {
                    @event = "view",
                    from_hours = 0.5,
                    to_hours = 3,
                }
            ),
        };
        metrics.AddRange([
            await given.AMetric(
                "sum",
                "threshold",
                new
                {
                    @event = "buy",
                    at_least = 500.5,
                    conversion_window_hours = 1,
                }
            ),
            await given.AMetric("count_distinct", "distinct", new { @event = "view", property = "metadata.page" }),
            await given.AMetric(
                "max",
                "max",
                new
                {
                    @event = "buy",
                    winsorize = new { cap = 700 },
                    lookback_days = 1,
                }
            ),
            await given.AMetric(
                "min",
                "min",
                new
                {
                    @event = "buy",
                    conversion_window_hours = 3,
                    maturity = "all",
                }
            ),
            await given.AMetric(
                "funnel",
                "any order",
                new
                {
                    steps = new[] { new { @event = "view" }, new { @event = "buy" } },
                    exclusions = new[] { new { @event = "cart" } },
                    order = "any",
                    window_hours = 2,
                    lookback_days = 1,
                }
            ),
            await given.AMetric(
                "retention",
                "return",
                new
                {
                    @event = "view",
                    return_event = new { @event = "buy" },
                    from_hours = 0,
                    to_hours = 1,
                    conversion_window_hours = 2,
                }
            ),
            await given.AMetric(
                "retention",
                "from exposure",
                new
                {
                    @event = "cart",
                    starts_at = "exposure",
                    from_hours = 1,
                    to_hours = 3,
                }
            ),
        ]);
        return metrics;
    }

    /// <summary>Lets an experiment have run for ten hours, with a pause of one.</summary>
    public static Task MoveBack(TestService service, Reply experiment) =>
        service.Execute(
            """
            UPDATE experiments SET started_at = now() - interval '10 hours',
                runs = tstzmultirange(tstzrange(now() - interval '10 hours', now() - interval '6 hours'),
                    tstzrange(now() - interval '5 hours', NULL))
            WHERE id = @Id
            """,
            new { experiment.Id }
        );

    /// <summary>Exposures of sixty identities, and what they did, in the last fourteen hours.</summary>
    /// <param name="random">Where they come from.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="now">The present, in milliseconds since 1970.</param>
    /// <param name="feature">The feature that they were exposed to.</param>
    /// <param name="own">The variant of an identity.</param>
    public static JsonObject[] Events(Random random, int count, long now, string feature, Func<string, string> own) =>
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ =>
                {
                    var identity = $"user-{random.Next(60)}";
                    // Around the halves of every ten minutes, so that no window of whole hours ends while the test runs.
                    var at = now - (random.NextInt64(84) * 600_000) - 300_000 + random.NextInt64(-60_000, 60_000);
                    return random.Next(4) == 0
                        ? new JsonObject
                        {
                            ["event"] = "$flag_exposure",
                            ["feature_name"] = feature,
                            ["identifier"] = identity,
                            ["value"] = random.Next(40) == 0 ? "red" : own(identity),
                            ["traits"] = new JsonObject
                            {
                                ["country"] = random.Next(4) == 0 ? null : new[] { "de", "fr", "it" }[random.Next(3)],
                                ["plan"] = random.Next(3),
                            },
                            ["timestamp"] = at,
                        }
                        : new JsonObject
                        {
                            ["event"] = new[] { "view", "cart", "buy" }[random.Next(3)],
                            ["identifier"] = identity,
                            ["value"] =
                                random.Next(10) == 0
                                    ? "no number"
                                    : (random.NextDouble() * 1000).ToString("R", CultureInfo.InvariantCulture),
                            ["metadata"] = new JsonObject
                            {
                                ["page"] = new[] { "a", "b", "c" }[random.Next(3)],
                                ["amount"] = random.Next(1000) / 7.0,
                            },
                            ["timestamp"] = at,
                        };
                }),
        ];
}
