using System.Globalization;
using Experiments.Api.Domain;
using Experiments.Api.Statistics;

namespace Experiments.Tests.Experiments;

public class PlanTests(SharedService service) : IClassFixture<SharedService>
{
    private const long Day = 24 * 3600_000;

    [Fact]
    public async Task A_plan_follows_from_the_events_of_the_last_days_and_is_kept_with_the_experiment()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given, "occurrence");
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 40 })).Must(200);
        var now = Now();
        // One of five of those who were there has bought; what came too early, of nobody or elsewhere says nothing.
        await given.Send([
            .. Enumerable
                .Range(0, 400)
                .SelectMany(n =>
                    n % 5 == 0
                        ? [Event("purchase", n, now - (n * 1000L)), Event("purchase", n, now - 5), Event("view", n, now)]
                        : new[] { Event("view", n, now - (10 * Day)) }
                ),
        ]);
        await given.Send(Event("purchase", "early", now - (15 * Day)), Event("purchase", null, now), Event("purchase", "", now));
        await (await given.Sibling()).Send([.. Enumerable.Range(1000, 50).Select(n => Event("purchase", n, now))]);

        var planned = (await Plan(given, experiment, new { minimum_detectable_effect = 0.1 })).Must(200);

        var needed = Needed(0.2, 0.2 * 0.8, 0.1);
        var parameters = planned["parameters"].AsObject();
        parameters["test"]!.GetValue<string>().ShouldBe("sequential");
        parameters["comparisons"]!.GetValue<int>().ShouldBe(1);
        parameters["baseline"]!["identities"]!.GetValue<int>().ShouldBe(400);
        parameters["baseline"]!["mean"]!.GetValue<double>().ShouldBe(0.2);
        parameters["baseline"]!["source"]!.GetValue<string>().ShouldBe("recent_events");
        parameters["fixed_sample_size"].ShouldBeNull();
        parameters["minimum_detectable_effect"]!.GetValue<double>().ShouldBe(0.1);
        parameters["recommended_sample_size"]!.GetValue<long>().ShouldBe(needed);
        parameters["recommended_running_time"]!
            .GetValue<double>()
            .ShouldBeInRange(Math.Ceiling(needed / (400 / 10.0 * 0.4)), Math.Ceiling(needed / (400 / 10.0 * 0.4)) + 1);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200).Text.ShouldBe(planned.Text);
        (
            await service.Query<long>(
                "SELECT (plan->>'recommended_sample_size')::bigint FROM experiments WHERE id = @Id",
                new { experiment.Id }
            )
        ).ShouldBe(needed);
        (await given.Audit("experiment", experiment.Id)).ShouldBe([
            "experiment.created",
            "experiment.rollout_changed",
            "experiment.planned",
        ]);

        // The same plan changes nothing; another one takes its place.
        (await Plan(given, experiment, new { minimum_detectable_effect = 0.1 }))
            .Must(200)
            .ETag.ShouldBe(planned.ETag);
        var other = (
            await Plan(
                given,
                experiment,
                new
                {
                    minimum_detectable_effect = -0.25,
                    alpha = 0.01,
                    power = 0.9,
                    identities_per_day = 250.5,
                }
            )
        ).Must(200);
        var smaller = Needed(0.2, 0.2 * 0.8, -0.25, alpha: 0.01, power: 0.9);
        other["parameters"]["recommended_sample_size"]!.GetValue<long>().ShouldBe(smaller);
        other["parameters"]["recommended_running_time"]!.GetValue<double>().ShouldBe(Math.Ceiling(smaller / 250.5));
        (await given.Audit("experiment", experiment.Id)).Count(action => action == "experiment.planned").ShouldBe(2);
    }

    [Theory]
    [InlineData("count")]
    [InlineData("sum")]
    [InlineData("mean")]
    [InlineData("ratio")]
    public async Task The_mean_and_the_variance_are_over_all_who_were_there(string aggregation)
    {
        var given = await Given.AnEnvironment(service);
        var definition = aggregation switch
        {
            "count" => (object)new { @event = "purchase" },
            "ratio" => new
            {
                @event = "purchase",
                property = "value",
                denominator = new { @event = "view" },
            },
            _ => new { @event = "purchase", property = "value" },
        };
        var experiment = await Measured(given, aggregation, definition, "green", "red");
        var (random, now) = (new Random(7), Now());
        var (events, y, d) = (new List<object>(), new List<double>(), new List<double>());
        var (sums, counts) = (new List<double>(), new List<double>());
        for (var n = 0; n < 300; n++)
        {
            var prices = Enumerable.Range(0, random.Next(4)).Select(_ => random.Next(100, 10_000) / 100.0).ToList();
            var views = 1 + random.Next(5);
            events.AddRange(prices.Select((price, i) => Event("purchase", n, now - 1000 - i, price)));
            events.AddRange(Enumerable.Range(0, views).Select(i => Event("view", n, now - 2000 - i)));
            y.Add(aggregation == "count" ? prices.Count : prices.Sum());
            d.Add(views);
            sums.Add(prices.Sum());
            counts.Add(prices.Count);
        }

        await given.Send([.. events]);

        var planned = (await Plan(given, experiment, new { minimum_detectable_effect = 0.05 })).Must(200);

        var (mean, variance) = (y.Average(), Covariance(y, y));
        if (aggregation == "mean")
        {
            // Over events, of which each identity has some.
            (y, d) = (sums, counts);
        }

        if (aggregation is "ratio" or "mean")
        {
            (var numerator, var denominator, mean) = (y.Average(), d.Average(), y.Average() / d.Average());
            variance =
                (Covariance(y, y) / Math.Pow(denominator, 2))
                + (Math.Pow(numerator, 2) * Covariance(d, d) / Math.Pow(denominator, 4))
                - (2 * numerator * Covariance(y, d) / Math.Pow(denominator, 3));
        }

        // The smallest arm, a third less what control takes of it, has to have as many; to the digit that the order of the sums may touch.
        var valued = y.Count(value => value != 0) / 300.0;
        long Total(double factor) => Needed(mean, variance * factor, 0.05, valued: valued, treatments: 2, smallest: 0.3333);
        planned["parameters"]["recommended_sample_size"]!.GetValue<long>().ShouldBeInRange(Total(1 - 1e-9), Total(1 + 1e-9));
    }

    [Fact]
    public async Task What_the_metric_holds_back_is_held_back_in_the_plan_as_well()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(
            given,
            "sum",
            new
            {
                @event = "purchase",
                property = "value",
                winsorize = new { upper = 0.95, of = "all" },
            }
        );
        await given.Send([.. Enumerable.Range(0, 200).Select(n => Event("purchase", n, Now() - 1000, n < 4 ? 1_000_000 : n % 100))]);

        var planned = (await Plan(given, experiment, new { minimum_detectable_effect = 0.1 })).Must(200);

        // By the nearest rank, over all: the 190th of 200.
        var values = Enumerable.Range(0, 200).Select(n => n < 4 ? 1_000_000.0 : n % 100).Order().ToList();
        var held = values.Select(value => Math.Min(value, values[189])).ToList();
        planned["parameters"]["recommended_sample_size"]!
            .GetValue<long>()
            .ShouldBe(Needed(held.Average(), Covariance(held, held), 0.1, valued: held.Count(value => value != 0) / 200.0));
    }

    [Fact]
    public async Task A_conversion_window_begins_when_an_identity_is_first_there()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given, "occurrence", new { @event = "purchase", conversion_window_hours = 24 });
        // Each is there for a minute, one of four buys in it, on any of ten days; the window of those of the last day is open.
        await given.Send([
            .. Enumerable
                .Range(0, 400)
                .SelectMany(n =>
                    new[] { "view", n % 4 == 0 ? "purchase" : "leave" }.Select(
                        (name, i) => Event(name, n, Now() - (n % 10 * Day) - 120_000 + (i * 60_000))
                    )
                ),
        ]);

        var planned = (await Plan(given, experiment, new { minimum_detectable_effect = 0.1 })).Must(200);

        planned["parameters"]["recommended_sample_size"]!.GetValue<long>().ShouldBe(Needed(80 / 360.0, 80 / 360.0 * (280 / 360.0), 0.1));
    }

    [Fact]
    public async Task While_it_runs_control_is_the_baseline_and_results_tell_how_far_along_it_is()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given, "occurrence");
        await given.Send([.. Enumerable.Range(0, 100).Select(n => Event("view", n, Now() - Day))]);
        await given.Start(experiment);
        var arms = await Expose(given, experiment, 300);
        // In control one of four, in the treatment all.
        var buyers = arms["control"].Where((_, place) => place % 4 == 0).ToList();
        await given.Send([.. buyers.Concat(arms["green"]).Select(identity => Event("purchase", identity, Now()))]);
        (await given.Results(experiment)).Json!["progress"].ShouldBeNull();
        await service.Execute(
            "UPDATE experiments SET started_at = now() - interval '2 days', runs = tstzmultirange(tstzrange(now() - interval '2 "
                + "days', now() - interval '1 day'), tstzrange(now() - interval '12 hours', NULL)) WHERE id = @Id",
            new { experiment.Id }
        );

        var planned = (await Plan(given, experiment, new { minimum_detectable_effect = 0.2 })).Must(200);

        var rate = (double)buyers.Count / arms["control"].Count;
        var needed = Needed(rate, rate * (1 - rate), 0.2);
        planned["parameters"]["recommended_sample_size"]!.GetValue<long>().ShouldBe(needed);
        // A day and a half it has run.
        planned["parameters"]["recommended_running_time"]!.GetValue<double>().ShouldBe(Math.Ceiling(needed / (300 / 1.5)), 1.5);
        var progress = (await given.Results(experiment))["progress"];
        progress["identities"]!.GetValue<long>().ShouldBe(300);
        progress["needed"]!.GetValue<long>().ShouldBe(needed);
        progress["share"]!.GetValue<double>().ShouldBe(300.0 / needed, 1e-12);
        progress["days_left"]!.GetValue<double>().ShouldBe((needed - 300) / (300 / 1.5), 0.01);

        (await Plan(given, experiment, new { minimum_detectable_effect = 1.5 })).Must(200);
        progress = (await given.Results(experiment))["progress"];
        progress["share"]!.GetValue<double>().ShouldBe(1);
        progress["days_left"]!.GetValue<double>().ShouldBe(0);

        (await given.Act(experiment.Id, "complete")).Must(200);
        (await Plan(given, experiment, new { minimum_detectable_effect = 0.2 })).MustBe(409, "experiment.completed");
        (
            await service.Query<double>(
                "SELECT (plan->>'minimum_detectable_effect')::float8 FROM experiments WHERE id = @Id",
                new { experiment.Id }
            )
        ).ShouldBe(1.5);
    }

    [Fact]
    public async Task Results_that_were_read_before_the_plan_tell_of_it_afterwards()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given, "occurrence");
        await given.Send([.. Enumerable.Range(0, 100).Select(n => Event(n % 2 == 0 ? "purchase" : "view", n, Now() - Day))]);
        await given.Start(experiment);
        await given.Results(experiment);
        (await Plan(given, experiment, new { minimum_detectable_effect = 0.2 })).Must(200);

        var results = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200);

        results["progress"]["needed"]!.GetValue<long>().ShouldBe(Needed(0.5, 0.25, 0.2));
        results["progress"]["share"]!.GetValue<double>().ShouldBe(0);
        results["progress"]["days_left"].ShouldBeNull();
    }

    [Fact]
    public async Task A_plan_says_what_one_look_would_take_and_what_each_guardrail_needs()
    {
        var given = await Given.AnEnvironment(service);
        var (bought, left) = (
            await given.AMetric("occurrence", "bought"),
            await given.AMetric("occurrence", "left", new { @event = "leave" }, "down")
        );
        var experiment = await given.AnExperimentWith(
            new { metric = bought.Id, role = "primary" },
            new
            {
                metric = left.Id,
                role = "guardrail",
                margin = 0.2,
            }
        );
        await given.Send([
            .. Enumerable
                .Range(0, 200)
                .Select(n =>
                    Event(
                        n % 4 == 0 ? "purchase"
                            : n % 4 == 1 ? "leave"
                            : "view",
                        n,
                        Now() - 1000
                    )
                ),
        ]);

        var plan = (
            await given.Admin.Post($"{given.Experiments}{experiment.Id}/plan/?fixed=true", new { minimum_detectable_effect = 0.1 })
        ).Must(200)["parameters"];

        plan["recommended_sample_size"]!.GetValue<long>().ShouldBe(Needed(0.25, 0.25 * 0.75, 0.1));
        // By hand, from (z_0.9775 + z_0.8)² (p_T (1 - p_T) + p (1 - p)) / (p_T - p)² an arm, at α = 0.045.
        var each = Math.Pow(2.00465 + 0.841621, 2) * ((0.275 * 0.725) + (0.25 * 0.75)) / (0.025 * 0.025);
        plan["fixed_sample_size"]!.GetValue<long>().ShouldBeInRange((long)(2 * each * 0.999), (long)(2 * each * 1.001));
        var guardrail = plan["guardrails"]!.AsArray().ShouldHaveSingleItem()!;
        guardrail["margin"]!.GetValue<double>().ShouldBe(0.2);
        var expected = new SequentialPower(0.25, 0.25 * 0.75, true, 0.25, 0.5, 0.5, 0.045) { Floor = 25, Margin = -0.2 };
        guardrail["sample_size"]!.GetValue<long>().ShouldBe(expected.SampleSize(0, 0.8)!.Value);
        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/plan/?fixed=yes", new { minimum_detectable_effect = 0.1 })).MustName(
            "fixed"
        );
    }

    [Fact]
    public async Task Fewer_than_a_hundred_identities_are_no_baseline()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given, "occurrence");
        await given.Send([.. Enumerable.Range(0, 99).Select(n => Event(n < 40 ? "purchase" : "view", n, Now() - 1000))]);

        var refused = (await Plan(given, experiment, new { minimum_detectable_effect = 0.1 })).MustBe(409, "plan.no_baseline");

        refused["detail"].GetValue<string>().ShouldContain("99 identities");
        await given.Send(Event("purchase", 99, Now() - 1000));
        (await Plan(given, experiment, new { minimum_detectable_effect = 0.1 })).Must(200);
    }

    [Theory]
    [InlineData("no primary")]
    [InlineData("no events")]
    [InlineData("nobody converts")]
    [InlineData("everybody converts")]
    public async Task Without_a_baseline_there_is_no_plan(string lacking)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("occurrence");
        var experiment = await given.AnExperimentWith(
            new
            {
                metric = metric.Id,
                role = lacking == "no primary" ? "secondary" : "primary",
                expected_direction = "increase",
            }
        );
        if (lacking != "no events")
        {
            await given.Send([
                .. Enumerable
                    .Range(0, 120)
                    .Select(n =>
                        Event(lacking == "everybody converts" || (lacking == "no primary" && n < 60) ? "purchase" : "view", n, Now() - 1000)
                    ),
            ]);
        }

        (await Plan(given, experiment, new { minimum_detectable_effect = 0.1 })).MustBe(409, "plan.no_baseline");

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200).Text.ShouldBe(experiment.Text);
        experiment.Json!["parameters"].ShouldBeNull();
    }

    [Theory]
    [InlineData("""{}""", "minimum_detectable_effect")]
    [InlineData("""{"minimum_detectable_effect": null}""", "minimum_detectable_effect")]
    [InlineData("""{"minimum_detectable_effect": 0}""", "minimum_detectable_effect")]
    [InlineData("""{"minimum_detectable_effect": -1}""", "minimum_detectable_effect")]
    [InlineData("""{"minimum_detectable_effect": 1e7}""", "minimum_detectable_effect")]
    [InlineData("""{"minimum_detectable_effect": 1e-12}""", "minimum_detectable_effect")]
    [InlineData("""{"minimum_detectable_effect": "0.1"}""", "minimum_detectable_effect")]
    [InlineData("""{"minimum_detectable_effect": 0.1, "alpha": 0, "power": 1}""", "alpha", "power")]
    [InlineData("""{"minimum_detectable_effect": 0.1, "alpha": 1, "power": 0}""", "alpha", "power")]
    [InlineData("""{"minimum_detectable_effect": 0.1, "identities_per_day": 0}""", "identities_per_day")]
    [InlineData("""{"minimum_detectable_effect": 0.1, "sequential": true}""", "sequential")]
    [InlineData("""{"minimum_detectable_effect": 3}""", "minimum_detectable_effect")]
    [InlineData("""{"minimum_detectable_effect": 0.1, "alpha": 0.5}""", "alpha")]
    [InlineData("""{"minimum_detectable_effect": 0.1, "identities_per_day": -3}""", "identities_per_day")]
    [InlineData("""{"minimum_detectable_effect": 0.1, "identities_per_day": 1e-306}""", "identities_per_day")]
    [InlineData("""{"minimum_detectable_effect": 0.1, "recommended_sample_size": 0}""", "recommended_sample_size")]
    [InlineData("""{"recommended_sample_size": 1e15}""", "recommended_sample_size")]
    [InlineData("""{"minimum_detectable_effect": -1, "recommended_sample_size": 5}""", "minimum_detectable_effect")]
    public async Task What_breaks_a_rule_is_named_and_nothing_is_written(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given, "occurrence");
        await given.Send([.. Enumerable.Range(0, 120).Select(n => Event(n < 40 ? "purchase" : "view", n, Now() - 1000))]);

        (await given.Admin.PostText($"{given.Experiments}{experiment.Id}/plan/", body)).MustName(fields);

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200).Text.ShouldBe(experiment.Text);
    }

    [Fact]
    public async Task A_stale_tag_a_missing_body_and_another_environment_plan_nothing()
    {
        var given = await Given.AnEnvironment(service);
        var other = await given.Sibling();
        var experiment = await Measured(given, "occurrence");
        await given.Send([.. Enumerable.Range(0, 120).Select(n => Event(n < 40 ? "purchase" : "view", n, Now() - 1000))]);
        await other.Send([.. Enumerable.Range(0, 120).Select(n => Event(n < 40 ? "purchase" : "view", n, Now() - 1000))]);
        var body = new { minimum_detectable_effect = 0.1 };

        (await given.Act(experiment.Id, "plan", body, ("If-Match", "\"0-0\""))).MustBe(412, "etag.stale");
        (await given.Act(experiment.Id, "plan")).MustName("minimum_detectable_effect");
        (await other.Act(experiment.Id, "plan", body)).MustBe(404, "experiment.not_found");
        (await other.Act(experiment.Id, "plan", new { minimum_detectable_effect = 0 })).MustBe(404, "experiment.not_found");

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200).Text.ShouldBe(experiment.Text);
        (await given.Act(experiment.Id, "plan", body, ("If-Match", experiment.ETag!))).Must(200);
    }

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private static object Event(string name, int user, long at, double? value = null) => Event(name, $"user-{user}", at, value);

    private static object Event(string name, string? identifier, long at, double? value = null) =>
        new
        {
            @event = name,
            identifier,
            timestamp = at,
            value = value?.ToString(CultureInfo.InvariantCulture),
        };

    // As many as the test of the verdict needs; of a mean, as many of the identities have a value.
    private static long Needed(
        double mean,
        double variance,
        double effect,
        double alpha = 0.05,
        double power = 0.8,
        double? valued = null,
        int treatments = 1,
        double smallest = 0.5
    ) =>
        new SequentialPower(
            mean,
            variance,
            valued is null,
            valued ?? 0,
            valued is null || treatments == 1 ? 0.5 : 0.3334,
            smallest,
            alpha * (valued is null ? 0.9 : 1) / treatments
        )
        {
            Floor = valued is null ? 25 : 50,
        }
            .SampleSize(effect, power)!
            .Value;

    private static double Covariance(List<double> x, List<double> y) =>
        x.Zip(y).Sum(pair => (pair.First - x.Average()) * (pair.Second - y.Average())) / (x.Count - 1);

    private static Task<Reply> Plan(Given given, Reply experiment, object body) => given.Act(experiment.Id, "plan", body);

    /// <summary>An experiment with this primary metric.</summary>
    private static async Task<Reply> Measured(Given given, string aggregation, object? definition = null, params string[] options)
    {
        var metric = await given.AMetric(aggregation, "m", definition);
        var feature = await given.AFeature(options);
        return (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "Green button",
                    hypothesis = "Green sells.",
                    feature = feature.Id,
                    metrics = new[]
                    {
                        new
                        {
                            metric = metric.Id,
                            role = "primary",
                            expected_direction = "increase",
                        },
                    },
                }
            )
        ).Must(201);
    }

    private static async Task<Dictionary<string, List<string>>> Expose(Given given, Reply experiment, int count)
    {
        var salt = await given.Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        var (feature, at) = (experiment["feature"]["name"]!.GetValue<string>(), Now());
        var arms = Enumerable
            .Range(0, count)
            .Select(n => $"shopper-{n}")
            .GroupBy(identity => Assignment.Variant(salt, identity, halves) == 0 ? "control" : "green")
            .ToDictionary(arm => arm.Key, arm => arm.ToList());
        await given.Send([
            .. arms.SelectMany(arm =>
                arm.Value.Select(identity =>
                    (object)
                        new
                        {
                            @event = "$flag_exposure",
                            feature_name = feature,
                            identifier = identity,
                            value = arm.Key,
                            timestamp = at,
                        }
                )
            ),
        ]);
        return arms;
    }
}
