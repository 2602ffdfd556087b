using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Results;

public class ResultsTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_planted_lift_of_a_fifth_wins_and_every_number_follows_from_the_events()
    {
        var run = await Run.Start(service, identities: 12_000, treatmentRate: 0.24);

        var results = await run.Results();

        results["recommendation"]["action"]!.GetValue<string>().ShouldBe("ship");
        var primary = Metric(results, run.Converted);
        primary["treatments"]![0]!["verdict"]!.GetValue<string>().ShouldBe("winning");
        run.Check(results);
    }

    [Fact]
    public async Task Without_an_effect_nothing_wins()
    {
        var run = await Run.Start(service, identities: 4_000, treatmentRate: 0.2);

        var results = await run.Results();

        results["recommendation"]["action"]!.GetValue<string>().ShouldBe("keep_running");
        Metric(results, run.Converted)["treatments"]![0]!["verdict"]!.GetValue<string>().ShouldBe("inconclusive");
        run.Check(results);
    }

    [Fact]
    public async Task A_broken_split_is_to_be_fixed_before_anything_is_believed()
    {
        var run = await Run.Start(service, identities: 4_000, treatmentRate: 0.4, lostTreatments: 4);

        var results = await run.Results();

        results["recommendation"]["action"]!.GetValue<string>().ShouldBe("fix_the_experiment");
        results["recommendation"]["reasons"]![0]!["code"]!.GetValue<string>().ShouldBe("sample_ratio_mismatch");
        Metric(results, run.Converted)["treatments"]![0]!["verdict"]!.GetValue<string>().ShouldBe("invalid");
    }

    [Fact]
    public async Task A_hurt_guardrail_keeps_control_whatever_else_is_won()
    {
        var run = await Run.Start(service, identities: 12_000, treatmentRate: 0.24, errorRate: 0.2);

        var results = await run.Results();

        Metric(results, run.Converted)["treatments"]![0]!["verdict"]!.GetValue<string>().ShouldBe("winning");
        Metric(results, run.Errors)["treatments"]![0]!["reason"]!.GetValue<string>().ShouldBe("guardrail_harmed");
        results["recommendation"]["action"]!.GetValue<string>().ShouldBe("keep_control");
    }

    [Fact]
    public async Task Few_identities_say_nothing_and_say_so()
    {
        var run = await Run.Start(service, identities: 60, treatmentRate: 0.2);

        var treatment = Metric(await run.Results(), run.Converted)["treatments"]![0]!;

        treatment["verdict"]!.GetValue<string>().ShouldBe("collecting_data");
        treatment["reason"]!.GetValue<string>().ShouldBe("not_enough_identities");
        treatment["frequentist"].ShouldBeNull();
        treatment["bayesian"].ShouldBeNull();
    }

    [Fact]
    public async Task Results_are_kept_filtered_refreshed_and_remembered_by_the_day()
    {
        var run = await Run.Start(service, identities: 300, treatmentRate: 0.2);
        var path = $"{run.Given.Experiments}{run.Experiment.Id}/results/";
        var first = await run.Results();

        (await run.Given.Admin.Get(path)).Must(200)["as_of"].GetValue<string>().ShouldBe(first["as_of"].GetValue<string>());
        (await run.Given.Admin.Get($"{path}?role=guardrail")).Must(200)["metrics"].AsArray().ShouldHaveSingleItem()!["metric"]!
            .GetValue<long>()
            .ShouldBe(run.Errors);
        (await run.Given.Admin.Get($"{path}?metric={run.Converted}")).Must(200)["metrics"].AsArray().ShouldHaveSingleItem();
        (await run.Given.Admin.Get($"{path}?role=other")).MustBe(400, "request.invalid").Fields.ShouldBe(["role"]);
        var point = (await run.Given.Admin.Get($"{path}history/")).Must(200)["points"].AsArray().ShouldHaveSingleItem()!;
        point["metrics"]!.AsArray().Count.ShouldBe(first["metrics"].AsArray().Count);
    }

    [Fact]
    public async Task Before_the_start_there_are_no_results_and_when_final_no_others()
    {
        var given = await Given.AnEnvironment(service);
        var draft = await given.AnExperiment();
        var metric = await given.AMetric("occurrence");
        (await given.Admin.Post($"{given.Experiments}{draft.Id}/metrics/", new { metric = metric.Id, role = "primary" })).Must(201);
        var path = $"{given.Experiments}{draft.Id}/results/";
        foreach (var none in new[] { path, $"{path}?refresh=true", $"{path}?metric={metric.Id}" })
        {
            var empty = (await given.Admin.Get(none)).Must(200);
            (empty["total"].GetValue<int>(), empty["held_out"].GetValue<int>()).ShouldBe((0, 0));
            empty["recommendation"]["action"]!.GetValue<string>().ShouldBe("start");
            empty["metrics"][0]!["arms"]!.AsArray().Select(arm => arm!["n"]!.GetValue<int>()).ShouldBe([0, 0]);
        }

        (await given.Admin.Get($"{path}?metric=987654321")).MustName("metric");
        (await service.Query<long>("SELECT count(*) FROM results WHERE experiment_id = @Id", new { draft.Id })).ShouldBe(0);
        (await given.Admin.Get($"{path}timeline/")).Must(200)["points"].AsArray().ShouldBeEmpty();
        (await given.Admin.Get($"{path}days/")).Must(200)["days"].AsArray().ShouldBeEmpty();
        (await given.Exposures(draft))["total"].GetValue<int>().ShouldBe(0);
        (await given.Admin.Post($"{given.Experiments}{draft.Id}/results/refresh/")).MustBe(409, "results.not_started");
        (await given.Admin.Get($"{given.Experiments}{draft.Id}/results/history/")).Must(200)["points"].AsArray().ShouldBeEmpty();
        (await (await given.Sibling()).Admin.Get($"{given.Experiments}{draft.Id + 1}/results/")).MustBe(404, "experiment.not_found");

        var run = await Run.Start(service, identities: 100, treatmentRate: 0.2);
        (await run.Given.Act(run.Experiment.Id, "complete")).Must(200);
        (await run.Results())["is_final"].GetValue<bool>().ShouldBeFalse();
        await service.Execute(
            """
            UPDATE experiments SET started_at = started_at - interval '2 days', ended_at = ended_at - interval '2 days',
                runs = tstzmultirange(tstzrange(started_at - interval '2 days', ended_at - interval '2 days')) WHERE id = @Id
            """,
            new { run.Experiment.Id }
        );
        var final = (await run.Given.Admin.Get($"{run.Given.Experiments}{run.Experiment.Id}/results/?refresh=true")).Must(200);
        final["is_final"].GetValue<bool>().ShouldBeTrue();
        (await run.Given.Admin.Post($"{run.Given.Experiments}{run.Experiment.Id}/results/refresh/")).MustBe(409, "results.final");
    }

    [Fact]
    public async Task A_metric_added_later_counts_what_came_before_it()
    {
        var run = await Run.Start(service, identities: 500, treatmentRate: 0.3);
        await run.Results();
        var later = await run.Given.AMetric("sum", "later", new { @event = "purchase", property = "value" });
        (
            await run.Given.Admin.Post(
                $"{run.Given.Experiments}{run.Experiment.Id}/metrics/",
                new { metric = later.Id, expected_direction = "increase" }
            )
        ).Must(201);

        JsonNode? added = null;
        await Given.Eventually(async () =>
            (added = (await run.Results())["metrics"].AsArray().FirstOrDefault(metric => metric!["metric"]!.GetValue<long>() == later.Id))
                is not null
        );

        added!["added_after_start"]!.GetValue<bool>().ShouldBeTrue();
        added["arms"]!.ToJsonString().ShouldBe(Metric(await run.Results(), run.Revenue)["arms"]!.ToJsonString());
    }

    [Fact]
    public async Task A_refresh_that_fails_leaves_the_last_results_standing_and_says_so()
    {
        var run = await Run.Start(service, identities: 60, treatmentRate: 0.2);
        var before = await run.Results();
        await service.Execute(
            "INSERT INTO exposure_counts SELECT @Id, now() - n * interval '1 hour', 'variant:green', 9000000000000000000 FROM "
                + "generate_series(1, 2) n",
            new { run.Experiment.Id }
        );

        var after = (await run.Given.Admin.Get($"{run.Given.Experiments}{run.Experiment.Id}/results/?refresh=true")).Must(200);

        after["as_of"].GetValue<string>().ShouldBe(before["as_of"].GetValue<string>());
        after["last_error"].GetValue<string>().ShouldNotBeEmpty();
        after["metrics"].ToJsonString().ShouldBe(before["metrics"].ToJsonString());
        await service.Execute("DELETE FROM exposure_counts WHERE experiment_id = @Id AND count > 1000000", new { run.Experiment.Id });
    }

    [Fact]
    public async Task A_metric_that_cannot_be_read_says_so_and_the_others_stand()
    {
        var run = await Run.Start(service, identities: 1000, treatmentRate: 0.2);
        await run.Results();
        await service.Execute(
            "UPDATE experiment_metrics SET definition = '{\"event\": 7}' WHERE experiment_id = @Id AND metric_id = @Revenue",
            new { run.Experiment.Id, run.Revenue }
        );

        var results = (await run.Given.Admin.Get($"{run.Given.Experiments}{run.Experiment.Id}/results/?refresh=true")).Must(200);

        results["metrics"].AsArray().Count.ShouldBe(3);
        var broken = Metric(results, run.Revenue);
        broken["error"]!.GetValue<string>().ShouldNotBeEmpty();
        broken["treatments"]![0]!["verdict"]!.GetValue<string>().ShouldBe("invalid");
        broken["treatments"]![0]!["reason"]!.GetValue<string>().ShouldBe("metric_failed");
        Metric(results, run.Errors)["treatments"]![0]!["frequentist"].ShouldNotBeNull();
        results.Json!["last_error"].ShouldBeNull();
        await service.Execute(
            "UPDATE experiment_metrics SET definition = '{\"event\": \"purchase\", \"property\": \"value\"}' WHERE experiment_id = "
                + "@Id AND metric_id = @Revenue",
            new { run.Experiment.Id, run.Revenue }
        );
    }

    private static JsonNode Metric(Reply results, long metric) =>
        results["metrics"].AsArray().Single(node => node!["metric"]!.GetValue<long>() == metric)!;

    /// <summary>An experiment whose identities and events are known, because they were made here.</summary>
    private sealed class Run
    {
        private readonly List<(string Identity, string Variant, double Spent, int Errors, int Purchases)> _people = [];

        public required Given Given { get; init; }

        public required Reply Experiment { get; init; }

        public required long Converted { get; init; }

        public required long Revenue { get; init; }

        public required long Errors { get; init; }

        public static async Task<Run> Start(
            TestService service,
            int identities,
            double treatmentRate,
            double errorRate = 0.1,
            int lostTreatments = 0
        )
        {
            var given = await Given.AnEnvironment(service);
            var (converted, revenue) = (
                await given.AMetric("occurrence", "converted"),
                await given.AMetric("sum", "revenue", new { @event = "purchase", property = "value" })
            );
            var errors = await given.AMetric("occurrence", "errors", new { @event = "error" }, "down");
            var experiment = await given.AnExperimentWith(
                new
                {
                    metric = converted.Id,
                    role = "primary",
                    expected_direction = "increase",
                },
                new
                {
                    metric = revenue.Id,
                    role = "secondary",
                    expected_direction = "increase",
                },
                new
                {
                    metric = errors.Id,
                    role = "guardrail",
                    expected_direction = "not_increase",
                }
            );
            await given.Start(experiment);
            var run = new Run
            {
                Given = given,
                Experiment = experiment,
                Converted = converted.Id,
                Revenue = revenue.Id,
                Errors = errors.Id,
            };
            await run.Send(identities, treatmentRate, errorRate, lostTreatments);
            return run;
        }

        public Task<Reply> Results() => Given.Results(Experiment);

        /// <summary>Every sum from the events that were sent, and every statistic from the sums by formulas written out here.</summary>
        public void Check(Reply results)
        {
            results["total"].GetValue<int>().ShouldBe(_people.Count);
            foreach (
                var (metric, value) in new (
                    long,
                    Func<(string Identity, string Variant, double Spent, int Errors, int Purchases), double>
                )[]
                {
                    (Converted, person => person.Purchases > 0 ? 1 : 0),
                    (Revenue, person => person.Spent),
                    (Errors, person => person.Errors > 0 ? 1 : 0),
                }
            )
            {
                var node = Metric(results, metric);
                var arms = new[] { "control", "green" }
                    .Select(key => _people.Where(person => person.Variant == key).Select(value).ToList())
                    .ToList();
                foreach (var (index, values) in arms.Index())
                {
                    var arm = node["arms"]![index]!;
                    arm["n"]!.GetValue<int>().ShouldBe(values.Count);
                    arm["sum"]!.GetValue<double>().ShouldBe(values.Sum(), 1e-12 * values.Sum());
                    arm["sum_squares"]!.GetValue<double>().ShouldBe(values.Sum(y => y * y), 1e-12 * values.Sum(y => y * y));
                    arm["mean"]!.GetValue<double>().ShouldBe(values.Average(), 1e-12);
                }

                var (c, t) = (Moments(arms[0], metric != Revenue), Moments(arms[1], metric != Revenue));
                var (ofControl, ofTreatment) = (c.Variance / c.N, t.Variance / t.N);
                var (difference, error) = (t.Mean - c.Mean, Math.Sqrt(ofTreatment + ofControl));
                var treatment = node["treatments"]![0]!;
                treatment["effect"]!.GetValue<double>().ShouldBe(difference / c.Mean, 1e-10);
                treatment["difference"]!.GetValue<double>().ShouldBe(difference, 1e-10);
                treatment["standard_error"]!.GetValue<double>().ShouldBe(error, 1e-10);
                treatment["bayesian"]!["chance_to_win"]!
                    .GetValue<double>()
                    .ShouldBe(MathNet.Numerics.Distributions.Normal.CDF(0, 1, (metric == Errors ? -1 : 1) * difference / error), 1e-9);
                var freedom =
                    Math.Pow(ofTreatment + ofControl, 2) / ((Math.Pow(ofTreatment, 2) / (t.N - 1)) + (Math.Pow(ofControl, 2) / (c.N - 1)));
                treatment["frequentist"]!["p_value"]!
                    .GetValue<double>()
                    .ShouldBe(2 * MathNet.Numerics.Distributions.StudentT.CDF(0, 1, freedom, -Math.Abs(difference / error)), 1e-8);
                Bounds(
                    treatment["frequentist"]!,
                    -MathNet.Numerics.Distributions.StudentT.InvCDF(0, 1, freedom, 0.025),
                    ofControl,
                    ofTreatment,
                    1e-6
                );

                // At any number of looks, by the larger of Welch's and the pooled variance.
                var n = (double)(c.N + t.N);
                var pooled = ((c.N * c.Variance) + (t.N * t.Variance)) / n;
                var (cautiousC, cautiousT) =
                    (pooled / c.N) + (pooled / t.N) > (ofControl + ofTreatment) * (1 + 1e-9)
                        ? (pooled / c.N, pooled / t.N)
                        : (ofControl, ofTreatment);
                // A proportion leaves a tenth of the error rate to the exact test of its conversions, and the stronger of the two counts.
                var (share, alpha) = metric == Revenue ? (1, 0.05) : (0.9, 0.045);
                var rho2 = ((-2 * Math.Log(alpha)) + Math.Log(1 - (2 * Math.Log(alpha)))) / 5000;
                var bySequence =
                    Math.Sqrt((n * rho2) + 1)
                    * Math.Exp(-rho2 * difference * difference * n / (cautiousC + cautiousT) / (2 * ((n * rho2) + 1)))
                    / share;
                var byConversions = metric == Revenue ? 1 : Math.Exp(-Conversions(1)) / 0.1;
                treatment["sequential"]!["p_value"]!.GetValue<double>().ShouldBe(Math.Min(1, Math.Min(bySequence, byConversions)), 1e-9);
                var width = Math.Sqrt(n) * Math.Sqrt(2 * ((n * rho2) + 1) / (n * n * rho2) * Math.Log(Math.Sqrt((n * rho2) + 1) / alpha));
                foreach (var (index, sign) in new[] { (0, 1), (1, -1) })
                {
                    // A bound is where the first of the two tests begins to reject.
                    var ratio = 1 + treatment["sequential"]!["ci"]![index]!.GetValue<double>();
                    var left = width - (sign * Distance(ratio, cautiousC, cautiousT));
                    (metric == Revenue ? left : Math.Min(left, Math.Log(1 / 0.005) - Conversions(ratio))).ShouldBe(0, 1e-9);
                }

                // How much likelier the conversions are under a mixture worth twenty of them than if the rates were in this ratio.
                double Conversions(double ratio)
                {
                    var (a, b, theta) = (arms[0].Sum(), arms[1].Sum(), ratio / (1 + ratio));
                    return MathNet.Numerics.SpecialFunctions.BetaLn(10 + b, 10 + a)
                        - MathNet.Numerics.SpecialFunctions.BetaLn(10, 10)
                        - (b * Math.Log(theta))
                        - (a * Math.Log(1 - theta));
                }

                // How many standard errors the treatment is from so many times control.
                double Distance(double ratio, double ofControl, double ofTreatment) =>
                    (t.Mean - (ratio * c.Mean)) / Math.Sqrt(ofTreatment + (ratio * ratio * ofControl));

                // Fieller: at a bound r, the treatment is so many standard errors from (1 + r) of control.
                void Bounds(JsonNode test, double multiplier, double ofControl, double ofTreatment, double tolerance)
                {
                    foreach (var (index, sign) in new[] { (0, 1), (1, -1) })
                    {
                        var ratio = 1 + test["ci"]![index]!.GetValue<double>();
                        Distance(ratio, ofControl, ofTreatment).ShouldBe(sign * multiplier, tolerance);
                    }
                }
            }
        }

        private static (int N, double Mean, double Variance) Moments(List<double> values, bool isProportion)
        {
            var mean = values.Average();
            return (values.Count, mean, isProportion ? mean * (1 - mean) : values.Sum(y => (y - mean) * (y - mean)) / (values.Count - 1));
        }

        private async Task Send(int identities, double treatmentRate, double errorRate, int lostTreatments)
        {
            var random = new Random(20_26);
            var salt = await Given.Salt(Experiment);
            var halves = Assignment.Cumulate([50, 50]);
            var feature = Experiment["feature"]["name"]!.GetValue<string>();
            var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
            var events = new List<object>();
            // The conversions are planted exactly, so that the outcome of the test is no matter of luck.
            var seen = new Dictionary<string, int> { ["control"] = 0, ["green"] = 0 };
            for (var n = 0; n < identities; n++)
            {
                var identity = $"user-{n}";
                var variant = Assignment.Variant(salt, identity, halves) == 0 ? "control" : "green";
                var index = seen[variant]++;
                if (variant == "green" && lostTreatments > 0 && index % lostTreatments == 0)
                {
                    continue;
                }

                events.Add(
                    new
                    {
                        @event = "$flag_exposure",
                        feature_name = feature,
                        identifier = identity,
                        value = variant,
                        timestamp = at,
                    }
                );
                var purchases = index % 1000 < 1000 * (variant == "green" ? treatmentRate : 0.2) ? 1 + random.Next(3) : 0;
                var spent = 0.0;
                for (var purchase = 0; purchase < purchases; purchase++)
                {
                    var price = random.Next(100, 10_000) / 100.0;
                    spent += price;
                    events.Add(
                        new
                        {
                            @event = "purchase",
                            identifier = identity,
                            value = price.ToString(CultureInfo.InvariantCulture),
                            timestamp = at + purchase,
                        }
                    );
                }

                var errors = index % 997 < 997 * (variant == "green" ? errorRate : 0.1) ? 1 : 0;
                if (errors > 0)
                {
                    events.Add(
                        new
                        {
                            @event = "error",
                            identifier = identity,
                            timestamp = at,
                        }
                    );
                }

                // Before the exposure, and of nobody: neither counts.
                events.Add(
                    new
                    {
                        @event = "purchase",
                        identifier = identity,
                        value = "1000000",
                        timestamp = at - 60_000,
                    }
                );
                _people.Add((identity, variant, spent, errors, purchases));
            }

            events.Add(
                new
                {
                    @event = "purchase",
                    identifier = "a stranger",
                    value = "1000000",
                    timestamp = at,
                }
            );
            var shuffled = events.ToArray();
            random.Shuffle(shuffled);
            await Task.WhenAll(shuffled.Chunk(2000).Select(batch => Given.Send(batch)));
        }
    }
}
