using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using MathNet.Numerics.Distributions;

namespace Experiments.Tests.Results;

/// <summary>Each kind of metric, recomputed from the events that were sent by code that shares nothing with the service's.</summary>
public class EveryNumberTests(SharedService service) : IClassFixture<SharedService>
{
    private static readonly string[] Variants = ["control", "green"];

    [Fact]
    public async Task The_values_of_every_kind_follow_from_the_events()
    {
        var run = await Run.Start(service);

        foreach (var (name, y, d) in Kinds)
        {
            var metric = run.Metric(name);
            foreach (var (index, key) in Variants.Index())
            {
                var people = run.People.Where(person => person.Variant == key).ToList();
                var arm = metric["arms"]![index]!;
                arm["n"]!.GetValue<int>().ShouldBe(people.Count);
                Near(arm["sum"], people.Sum(y), name);
                Near(arm["sum_squares"], people.Sum(person => y(person) * y(person)), name);
                if (d is null)
                {
                    arm["denominator_sum"].ShouldBeNull(name);
                    continue;
                }

                Near(arm["denominator_sum"], people.Sum(d), name);
                Near(arm["cross_sum"], people.Sum(person => y(person) * d(person)), name);
                Near(arm["mean"], people.Sum(y) / people.Sum(d), name);
            }
        }
    }

    [Fact]
    public async Task A_mean_over_events_is_adjusted_by_the_events_from_before_the_exposure()
    {
        var run = await Run.Start(service);
        var metric = run.Metric("mean");

        var rows = run
            .People.Select(person =>
                (
                    person.Variant,
                    Y: person.Bought.Sum(),
                    D: (double)person.Bought.Count,
                    X: person.Before.Sum(),
                    W: (double)person.Before.Count
                )
            )
            .ToList();
        foreach (var (index, key) in Variants.Index())
        {
            var (arm, own) = (metric["arms"]![index]!, rows.Where(row => row.Variant == key).ToList());
            Near(arm["covariate_sum"], own.Sum(row => row.X));
            Near(arm["covariate_sum_squares"], own.Sum(row => row.X * row.X));
            Near(arm["covariate_cross_sum"], own.Sum(row => row.X * row.Y));
            var ofDenominator = arm["denominator_covariate"]!;
            Near(ofDenominator["sum"], own.Sum(row => row.W));
            Near(ofDenominator["sum_squares"], own.Sum(row => row.W * row.W));
            Near(ofDenominator["covariate_cross_sum"], own.Sum(row => row.X * row.W));
            Near(ofDenominator["cross_sum"], own.Sum(row => row.Y * row.W));
            Near(ofDenominator["denominator_covariate_cross_sum"], own.Sum(row => row.D * row.X));
            Near(ofDenominator["denominator_cross_sum"], own.Sum(row => row.D * row.W));
        }

        // Least squares of the linearised ratio on both covariates, by the normal equations of centred values.
        var (all, mean) = (rows.Sum(row => row.Y) / rows.Sum(row => row.D), rows.Average(row => row.D));
        var z = rows.Select(row => (row.Y - (all * row.D)) / mean).ToList();
        var (x, w) = (Centred(rows.Select(row => row.X)), Centred(rows.Select(row => row.W)));
        var (xx, ww, xw, xz, wz) = (Dot(x, x), Dot(w, w), Dot(x, w), Dot(x, z), Dot(w, z));
        var (ofX, ofW) = (((xz * ww) - (wz * xw)) / ((xx * ww) - (xw * xw)), ((wz * xx) - (xz * xw)) / ((xx * ww) - (xw * xw)));
        var treatment = metric["treatments"]![0]!;
        treatment["cuped"]!["theta"]!.GetValue<double>().ShouldBe(ofX, 1e-9);
        treatment["cuped"]!["denominator_theta"]!.GetValue<double>().ShouldBe(ofW, 1e-9);

        var arms = Variants
            .Select(key =>
            {
                var own = rows.Where(row => row.Variant == key).ToList();
                var (ratio, denominator) = (own.Sum(row => row.Y) / own.Sum(row => row.D), own.Average(row => row.D));
                var left = Centred(own.Select(row => ((row.Y - (ratio * row.D)) / denominator) - (ofX * row.X) - (ofW * row.W)));
                return (
                    Mean: ratio - (ofX * own.Average(row => row.X)) - (ofW * own.Average(row => row.W)),
                    Variance: Dot(left, left) / (own.Count - 1) / own.Count,
                    Ratio: ratio
                );
            })
            .ToList();
        var (difference, error) = (arms[1].Mean - arms[0].Mean, Math.Sqrt(arms[0].Variance + arms[1].Variance));
        treatment["difference"]!.GetValue<double>().ShouldBe(difference, 1e-9);
        treatment["standard_error"]!.GetValue<double>().ShouldBe(error, 1e-9);
        treatment["effect"]!.GetValue<double>().ShouldBe(difference / arms[0].Ratio, 1e-9);
        var chance = Normal.CDF(0, 1, difference / error);
        treatment["bayesian"]!["chance_to_win"]!.GetValue<double>().ShouldBe(chance, 1e-9);
        metric["arms"]![1]!["chance_to_be_best"]!.GetValue<double>().ShouldBe(chance, 1e-6);
    }

    private static (string Name, Func<Person, double> Y, Func<Person, double>? D)[] Kinds =>
        [
            ("distinct", person => person.Pages.Distinct().Count(), null),
            ("max", person => person.Bought.DefaultIfEmpty(0).Max(), null),
            ("min", person => person.Bought.DefaultIfEmpty(0).Min(), null),
            ("mean", person => person.Bought.Sum(), person => person.Bought.Count),
            ("at least two", person => person.Bought.Count >= 2 ? 1 : 0, null),
            ("any order", person => person.BoughtNearView ? 1 : 0, null),
            ("came back", person => person.CameBack ? 1 : 0, null),
        ];

    private static void Near(JsonNode? actual, double expected, string? of = null) =>
        actual!.GetValue<double>().ShouldBe(expected, 1e-9 * Math.Max(1, Math.Abs(expected)), of);

    private static List<double> Centred(IEnumerable<double> values)
    {
        var list = values.ToList();
        var mean = list.Average();
        return [.. list.Select(value => value - mean)];
    }

    private static double Dot(List<double> one, List<double> other) => one.Zip(other, (a, b) => a * b).Sum();

    private sealed record Person(
        string Variant,
        List<string> Pages,
        List<double> Bought,
        List<double> Before,
        bool BoughtNearView,
        bool CameBack
    );

    private sealed class Run
    {
        public List<Person> People { get; } = [];

        private Reply? Results { get; set; }

        public JsonNode Metric(string name) => Results!["metrics"].AsArray().Single(metric => metric!["name"]!.GetValue<string>() == name)!;

        public static async Task<Run> Start(TestService service)
        {
            var given = await Given.AnEnvironment(service);
            var bought = new { @event = "buy", property = "value" };
            var metrics = new[]
            {
                await given.AMetric("count_distinct", "distinct", new { @event = "view", property = "metadata.page" }),
                await given.AMetric("max", "max", bought),
                await given.AMetric("min", "min", bought),
                await given.AMetric(
                    "mean",
                    "mean",
                    new
                    {
                        @event = "buy",
                        property = "value",
                        lookback_days = 1,
                    }
                ),
                await given.AMetric("count", "at least two", new { @event = "buy", at_least = 2 }),
                await given.AMetric(
                    "funnel",
                    "any order",
                    new
                    {
                        steps = new[] { new { @event = "view" }, new { @event = "buy" } },
                        order = "any",
                        window_hours = 1,
                    }
                ),
                await given.AMetric(
                    "retention",
                    "came back",
                    new
                    {
                        @event = "view",
                        starts_at = "exposure",
                        from_hours = 1,
                        to_hours = 3,
                    }
                ),
            };
            var experiment = await given.Start(await given.AnExperimentWith([.. metrics.Select(metric => new { metric = metric.Id })]));
            await service.Execute(
                """
                UPDATE experiments SET started_at = now() - interval '10 hours',
                    runs = tstzmultirange(tstzrange(now() - interval '10 hours', NULL)) WHERE id = @Id
                """,
                new { experiment.Id }
            );
            var run = new Run();
            await run.Send(given, experiment);
            // Until the windows that are over have been taken into account.
            await Given.Eventually(
                async () =>
                    (run.Results = await given.Results(experiment, total: run.People.Count))["metrics"]
                        .AsArray()
                        .All(metric => metric!["windows"]?["waiting"]!.GetValue<int>() is null or 0),
                TimeSpan.FromSeconds(90)
            );
            return run;
        }

        private async Task Send(Given given, Reply experiment)
        {
            var random = new Random(12);
            var (salt, halves) = (await given.Salt(experiment), Assignment.Cumulate([50, 50]));
            var start = DateTimeOffset.UtcNow.AddHours(-9.9);
            var events = new List<object>();
            for (var n = 0; n < 700; n++)
            {
                var identity = $"u{n}";
                var variant = Variants[Assignment.Variant(salt, identity, halves)];
                // Long enough ago for every window to be over.
                var exposed = start.AddMinutes(random.Next(300));
                events.Add(
                    new
                    {
                        @event = "$flag_exposure",
                        feature_name = experiment["feature"]["name"]!.GetValue<string>(),
                        identifier = identity,
                        value = variant,
                        timestamp = exposed.ToUnixTimeMilliseconds(),
                    }
                );
                var habit = random.NextDouble();
                var (pages, bought, before) = (new List<string>(), new List<double>(), new List<double>());
                var (views, buys) = (new List<double>(), new List<double>());
                for (var view = random.Next(4); view > 0; view--)
                {
                    var (minutes, page) = (Minutes(), $"page-{random.Next(3)}");
                    pages.Add(page);
                    views.Add(minutes);
                    events.Add(Event("view", minutes, "", page));
                }

                for (var buy = (int)(4 * habit); buy > 0; buy--)
                {
                    var (minutes, value) = (Minutes(), Value());
                    bought.Add(value);
                    buys.Add(minutes);
                    events.Add(Event("buy", minutes, value.ToString(CultureInfo.InvariantCulture), "p"));
                }

                for (var buy = (int)(3 * habit) + random.Next(2); buy > 0; buy--)
                {
                    var value = Value();
                    before.Add(value);
                    events.Add(Event("buy", -Minutes(), value.ToString(CultureInfo.InvariantCulture), "p"));
                }

                People.Add(
                    new(
                        variant,
                        pages,
                        bought,
                        before,
                        views.Any(view => buys.Any(buy => Math.Abs(buy - view) < 60)),
                        views.Any(view => view is >= 60 and < 180)
                    )
                );

                double Value() => Math.Round((100 * habit) + random.Next(1, 5000) / 100.0, 2);

                // Not at the edges of windows, which have tests of their own.
                double Minutes() => random.Next(0, 239) + 0.5;

                object Event(string name, double minutes, string value, string page) =>
                    new
                    {
                        @event = name,
                        identifier = identity,
                        value,
                        metadata = new { page },
                        timestamp = exposed.AddMinutes(minutes).ToUnixTimeMilliseconds(),
                    };
            }

            var shuffled = events.ToArray();
            random.Shuffle(shuffled);
            foreach (var batch in shuffled.Chunk(1000))
            {
                await given.Send(batch);
            }
        }
    }
}
