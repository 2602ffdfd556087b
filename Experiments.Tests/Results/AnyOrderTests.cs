using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Results;

public class AnyOrderTests(SharedService service) : IClassFixture<SharedService>
{
    private const string Sums = """
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

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Any_order_and_any_batching_gives_what_a_full_recomputation_gives(int seed)
    {
        var random = new Random(seed);
        var given = await Given.AnEnvironment(service);
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
        var experiment = await given.AnExperimentWith([
            .. metrics.Select(metric => (object)new { metric = metric.Id, expected_direction = "increase" }),
        ]);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { breakdowns = new[] { "country", "plan" } })).Must(200);
        await given.Start(experiment);
        await service.Execute(
            """
            UPDATE experiments SET started_at = now() - interval '10 hours',
                runs = tstzmultirange(tstzrange(now() - interval '10 hours', now() - interval '6 hours'),
                    tstzrange(now() - interval '5 hours', NULL))
            WHERE id = @Id
            """,
            new { experiment.Id }
        );
        var salt = await given.Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        var feature = experiment["feature"]["name"]!.GetValue<string>();
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        string Own(string identity) => Assignment.Variant(salt, identity, halves) == 0 ? "control" : "green";
        var events = Enumerable
            .Range(0, 900)
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
                        ["value"] = random.Next(40) == 0 ? "red" : Own(identity),
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
                            random.Next(10) == 0 ? "no number" : (random.NextDouble() * 1000).ToString("R", CultureInfo.InvariantCulture),
                        ["metadata"] = new JsonObject
                        {
                            ["page"] = new[] { "a", "b", "c" }[random.Next(3)],
                            ["amount"] = random.Next(1000) / 7.0,
                        },
                        ["timestamp"] = at,
                    };
            })
            .ToArray();
        // Some of them turn out to be others, who are known; each is said more than once.
        var joins = Enumerable
            .Range(0, 40)
            .Select(n => new JsonObject
            {
                ["event"] = n % 3 == 0 ? "$create_alias" : "$identify",
                ["identifier"] = $"user-{n % 10}",
                ["metadata"] = new JsonObject { [n % 3 == 0 ? "alias" : "$anon_distinct_id"] = $"user-{20 + (n % 10) + (n % 2 * 10)}" },
                ["timestamp"] = now - random.NextInt64(1_000_000),
            })
            .ToArray();
        events = [.. events, .. joins];
        var sent = events.Concat(events.Take(200)).Select(e => (object)e.DeepClone()).ToArray();
        random.Shuffle(sent);

        // Now by ones, now by hundreds; some at once, some one after the other.
        for (var index = 0; index < sent.Length; )
        {
            var batches = Enumerable
                .Range(0, 1 + random.Next(4))
                .Select(_ =>
                {
                    var size = Math.Min(sent.Length - index, random.Next(3) == 0 ? 1 : 1 + random.Next(150));
                    index += size;
                    return sent[(index - size)..index];
                })
                .Where(batch => batch.Length > 0)
                .ToList();
            await Task.WhenAll(batches.Select(batch => given.Send(batch)));
        }

        Reply? incremental = null;
        await Given.Eventually(async () =>
            (incremental = await Results())["events_not_counted"].GetValue<int>() == 0
            && incremental["metrics"].AsArray().Count == metrics.Count
        );
        var aggregated = await service.QueryAll<string>(Sums, new { experiment.Id });
        await using var database = new DatabaseServer(service.ConnectionString, null);
        await using var source = AggregationWorker.Source(database, null);
        RebuildFromEvents.Report? report = null;
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None)) is not null
        );
        var recomputed = await service.QueryAll<string>(Sums, new { experiment.Id });

        // Exactly, since what is kept is exact.
        aggregated.Count.ShouldBeGreaterThan((2 * metrics.Count) - 4);
        aggregated.ShouldBe(recomputed);
        report.ShouldBe(new(50, 0, 0));
        await Given.Eventually(async () =>
            await new RebuildFromUnits(source).Run(experiment.Id, CancellationToken.None) is { Differing: 0 }
        );
        (await service.QueryAll<string>(Sums, new { experiment.Id })).ShouldBe(aggregated);

        // Whatever has been done to what is derived, the events say what it should be.
        await service.Execute(
            """
            UPDATE exposures SET seen_at = seen_at - interval '1 hour', enrolled_at = NULL
            WHERE experiment_id = @Id AND identity::text < '4';
            DELETE FROM exposures WHERE experiment_id = @Id AND identity::text > 'c';
            UPDATE unit_metrics SET numbers = array_append(numbers[2:], 7)
            WHERE experiment_id = @Id AND identity::text < '8' AND numbers <> '{}';
            DELETE FROM unit_metrics WHERE experiment_id = @Id AND identity::text > 'e';
            INSERT INTO unit_metrics (experiment_id, identity, arm, numbers, events) VALUES (@Id, gen_random_uuid(), 1, '{1,0}', '');
            UPDATE metric_sums SET y = y + 1, yy = 0, y_non_zero = 7, d_non_zero = d_non_zero + 1
            WHERE link_id IN (SELECT id FROM experiment_metrics WHERE experiment_id = @Id);
            UPDATE exposure_counts SET count = count + 1 WHERE experiment_id = @Id;
            """,
            new { experiment.Id }
        );
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None)) is not null
        );
        report!.Exposures.ShouldBeGreaterThan(10);
        report.Units.ShouldBeGreaterThan(10);
        (await service.QueryAll<string>(Sums, new { experiment.Id })).ShouldBe(aggregated);
        (await Results())["metrics"].ToJsonString().ShouldBe(incremental!["metrics"].ToJsonString());

        Task<Reply> Results() => given.Results(experiment);
    }
}
