using System.Globalization;
using System.Text.Json.Nodes;
using Dapper;
using Experiments.Api.Domain;
using MathNet.Numerics.Distributions;
using Npgsql;

namespace Experiments.Tests.Holdouts;

public class HoldoutTests(TestService service) : IClassFixture<TestService>
{
    [Fact]
    public async Task Holdouts_are_made_read_listed_changed_and_deleted()
    {
        var given = await Given.AnEnvironment(service);
        var created = (
            await given.Admin.Post(
                Path(given),
                new
                {
                    name = "  Never in a test ",
                    description = " d ",
                    percentage = 5.25,
                }
            )
        ).Must(201);
        var other = await given.AHoldout(0, "Other");

        created.Headers.Location!.ToString().ShouldBe($"{Path(given)}{created.Id}/");
        created["name"].GetValue<string>().ShouldBe("Never in a test");
        created["description"].GetValue<string>().ShouldBe("d");
        created["percentage"].GetValue<decimal>().ShouldBe(5.25m);
        created["experiments"].AsArray().ShouldBeEmpty();
        // Who knew the salt could choose who is held out.
        created.Text.ShouldNotContain(await Salt(created));
        (await given.Admin.Get($"{Path(given)}{created.Id}/")).Must(200).Text.ShouldBe(created.Text);
        (await given.Admin.Get(Path(given)))["results"]
            .AsArray()
            .Select(holdout => holdout!["id"]!.GetValue<long>())
            .ShouldBe([other.Id, created.Id]);
        (await given.Admin.Get($"{Path(given)}?q=NEVER"))["results"]
            .AsArray()
            .ShouldHaveSingleItem()!
            .ToJsonString()
            .ShouldBe(created.Json!.ToJsonString());

        var salt = await Salt(created);
        var patched = (await given.Admin.Patch($"{Path(given)}{created.Id}/", new { name = "Renamed", percentage = 100 })).Must(200);
        patched["percentage"].GetValue<decimal>().ShouldBe(100);
        patched["description"].GetValue<string>().ShouldBe("d");
        (await Salt(created)).ShouldBe(salt);
        (await given.Admin.Patch($"{Path(given)}{created.Id}/", new { name = "Renamed" })).Must(200).ETag.ShouldBe(patched.ETag);
        (await given.Admin.Patch($"{Path(given)}{created.Id}/", new { name = "x" }, ("If-Match", created.ETag!))).MustBe(412, "etag.stale");
        (await given.Admin.Delete($"{Path(given)}{created.Id}/", ("If-Match", created.ETag!))).MustBe(412, "etag.stale");

        (await given.Admin.Delete($"{Path(given)}{created.Id}/")).Must(204);
        (await given.Admin.Get($"{Path(given)}{created.Id}/")).MustBe(404, "holdout.not_found");
        (await given.Admin.Patch($"{Path(given)}{created.Id}/", new { name = "x" })).MustBe(404, "holdout.not_found");
        (await given.Admin.Delete($"{Path(given)}{created.Id}/")).MustBe(404, "holdout.not_found");
        (await given.Admin.Get($"{Path(given)}{created.Id}/results/")).MustBe(404, "holdout.not_found");
        (await given.Admin.Get(Path(given)))["count"].GetValue<int>().ShouldBe(1);
        (await given.Audit("holdout", created.Id)).ShouldBe(["holdout.created", "holdout.updated", "holdout.deleted"]);
        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f" },
                    holdout = created.Id,
                }
            )
        ).MustName("holdout");
    }

    [Theory]
    [InlineData("""{}""", "name", "percentage")]
    [InlineData("""{"name": null, "percentage": null}""", "name", "percentage")]
    [InlineData("""{"name": " ", "percentage": 5}""", "name")]
    [InlineData("""{"name": 5, "percentage": 5}""", "name")]
    [InlineData("""{"name": "h", "percentage": 100.01}""", "percentage")]
    [InlineData("""{"name": "h", "percentage": -1}""", "percentage")]
    [InlineData("""{"name": "h", "percentage": "5"}""", "percentage")]
    [InlineData("""{"name": "h", "percentage": 1e400}""", "percentage")]
    [InlineData("""{"name": "h", "percentage": 5, "description": 5}""", "description")]
    [InlineData("""{"name": "h", "percentage": 5, "salt": "mine"}""", "salt")]
    [InlineData("""{"name": "h", "percentage": 5, "filters": []}""", "filters")]
    [InlineData("""{"name": "h\u0000", "percentage": 5}""", "name")]
    public async Task What_is_wrong_with_a_holdout_is_named_and_nothing_is_written(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.PostText(Path(given), body)).Must(400).Fields.ShouldBe(fields, ignoreOrder: true);

        (
            await service.Query<long>(
                "SELECT count(*) FROM holdouts h JOIN environments e ON e.id = h.environment_id WHERE e.key = @Key",
                new { given.Key }
            )
        ).ShouldBe(0);
        (await given.Admin.PostText(Path(given), $$"""{"name": "{{new string('x', 256)}}", "percentage": 5}""")).MustName("name");
    }

    [Theory]
    [InlineData("""{"name": null}""", "name")]
    [InlineData("""{"name": ""}""", "name")]
    [InlineData("""{"description": null}""", "description")]
    [InlineData("""{"percentage": null}""", "percentage")]
    [InlineData("""{"percentage": 101, "name": "new"}""", "percentage")]
    [InlineData("""{"percentage": -0.5}""", "percentage")]
    [InlineData("""{"percentage": true}""", "percentage")]
    [InlineData("""{"name": "new", "salt": "x", "experiments": []}""", "salt", "experiments")]
    public async Task What_is_wrong_with_a_change_is_named_and_nothing_is_changed(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);
        var holdout = await given.AHoldout(5);

        (await given.Admin.Patch($"{Path(given)}{holdout.Id}/", body)).Must(400).Fields.ShouldBe(fields, ignoreOrder: true);

        (await given.Admin.Get($"{Path(given)}{holdout.Id}/")).Text.ShouldBe(holdout.Text);
        (await given.Audit("holdout", holdout.Id)).ShouldBe(["holdout.created"]);
    }

    [Fact]
    public async Task Two_holdouts_of_one_size_hold_out_different_people()
    {
        var given = await Given.AnEnvironment(service);
        var (one, two) = (await Salt(await given.AHoldout(20)), await Salt(await given.AHoldout(20)));
        var both = Enumerable.Range(0, 2000).Count(n => Assignment.Admits(one, $"user-{n}", 20) && Assignment.Admits(two, $"user-{n}", 20));

        one.ShouldNotBe(two);
        // 4 percent of them, give or take five standard deviations; nested, it would be 400.
        both.ShouldBeInRange(36, 124);
    }

    [Fact]
    public async Task Whoever_is_held_out_gets_the_value_of_control_from_every_protocol()
    {
        var given = await Given.AnEnvironment(service);
        var holdout = await given.AHoldout(30);
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                $$$"""{"name": "Green button", "hypothesis": "h", "holdout": {{{holdout.Id}}}, "rollout_percentage": 70,"""
                    + $$$""" "feature": {"name": "f", "variants": [{"key": "control", "value": "blue", "weight": 50}, {"key": "green","""
                    + $$$""" "value": {"a": 1}, "weight": 50}]}}"""
            )
        ).Must(201);
        await given.Start(experiment);
        var (salt, holdoutSalt, halves) = (await given.Salt(experiment), await Salt(holdout), Assignment.Cumulate([50, 50]));
        var seen = new HashSet<string>();

        for (var n = 0; n < 60; n++)
        {
            var identity = $"user {n} é";
            var heldOut = Assignment.Admits(holdoutSalt, identity, 30);
            var variant =
                heldOut || !Assignment.Admits(salt, identity, 70) ? null
                : Assignment.Variant(salt, identity, halves) == 0 ? "control"
                : "green";
            seen.Add($"{heldOut} {variant}");
            var (isIn, named) = (variant is null ? "false" : "true", heldOut ? $$""","holdout":{{holdout.Id}}""" : "");

            foreach (
                var flags in new[]
                {
                    (await given.Sdk.Get($"/api/v1/identities/?identifier={Uri.EscapeDataString(identity)}")).Must(200),
                    (await given.Sdk.Post("/api/v1/identities/", new { identifier = identity })).Must(200),
                }
            )
            {
                var flag = flags["flags"].AsArray().ShouldHaveSingleItem()!;
                flag["feature_state_value"]!.GetValue<string>().ShouldBe(variant == "green" ? """{"a":1}""" : "blue");
                (flag["variant"]?.GetValue<string>()).ShouldBe(variant);
                flag["enabled"]!.GetValue<bool>().ShouldBeTrue();
                flag["metadata"]!["experiment"]!
                    .ToJsonString()
                    .ShouldBe($$"""{"id":{{experiment.Id}},"name":"Green button","in_experiment":{{isIn}}{{named}}}""");
            }

            foreach (
                var evaluated in new[]
                {
                    (await given.Evaluate(experiment["feature"], identity)).Must(200).Json!,
                    (await given.Sdk.Post("/ofrep/v1/evaluate/flags", new { context = new { targetingKey = identity } })).Must(200)[
                        "flags"
                    ][0]!,
                }
            )
            {
                evaluated["value"]!.ToJsonString().ShouldBe(variant == "green" ? """{"a":1}""" : "\"blue\"");
                (evaluated["variant"]?.GetValue<string>()).ShouldBe(variant);
                evaluated["metadata"]!
                    .ToJsonString()
                    .ShouldBe(
                        $$"""{"experiment_id":{{experiment.Id}},"experiment_name":"Green button","in_experiment":{{isIn}}{{named}}}"""
                    );
            }
        }

        seen.ShouldBe(["True ", "False ", "False control", "False green"], ignoreOrder: true);
        // A paused experiment keeps nobody out of anything.
        (await given.Act(experiment.Id, "pause")).Must(200);
        await given.Served(flag => flag["metadata"]!.AsObject().Count == 0);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public async Task A_holdout_may_have_nobody_or_everybody(int percentage)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Started(given, await given.AHoldout(percentage));

        for (var n = 0; n < 10; n++)
        {
            (await given.Evaluate(experiment["feature"], $"user-{n}"))["metadata"]["in_experiment"]!
                .GetValue<bool>()
                .ShouldBe(percentage == 0);
        }
    }

    [Fact]
    public async Task Those_who_are_held_out_are_counted_apart_and_compared_with_the_rest()
    {
        var given = await Given.AnEnvironment(service);
        var holdout = await given.AHoldout(40);
        var metrics = new[]
        {
            await given.AMetric("occurrence", "bought"),
            await given.AMetric("sum", "revenue", new { @event = "purchase", property = "value" }),
            await given.AMetric(
                "ratio",
                "per view",
                new
                {
                    @event = "purchase",
                    property = "value",
                    denominator = new { @event = "view" },
                }
            ),
            await given.AMetric(
                "funnel",
                "funnel",
                new { steps = new[] { new { @event = "view" }, new { @event = "purchase" } }, window_hours = 1 }
            ),
            await given.AMetric(
                "sum",
                "held",
                new
                {
                    @event = "purchase",
                    property = "value",
                    winsorize = new { upper = 0.8, of = "all" },
                }
            ),
        };
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "Green button",
                    hypothesis = "h",
                    feature = new { name = "f" },
                    holdout = holdout.Id,
                    metrics = metrics.Select(metric => new { metric = metric.Id, expected_direction = "increase" }),
                }
            )
        ).Must(201);
        await given.Start(experiment);
        var (salt, holdoutSalt, halves) = (await given.Salt(experiment), await Salt(holdout), Assignment.Cumulate([50, 50]));
        var random = new Random(5);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        var (people, events) = (new List<(string Arm, double Spent, int Views, bool IsWhole)>(), new List<object>());
        for (var n = 0; n < 240; n++)
        {
            var identity = $"user-{n}";
            var heldOut = Assignment.Admits(holdoutSalt, identity, 40);
            var own = Assignment.Variant(salt, identity, halves) == 0 ? "control" : "test";
            // The SDKs name no variant to whom there is none; others say what they showed.
            events.Add(
                new
                {
                    @event = "$flag_exposure",
                    feature_name = "f",
                    identifier = identity,
                    value = !heldOut ? own
                    : n % 2 == 0 ? null
                    : "control",
                    timestamp = at,
                }
            );
            var (spent, views) = (0.0, random.Next(4));
            events.AddRange(
                Enumerable
                    .Range(0, views)
                    .Select(view =>
                        (object)
                            new
                            {
                                @event = "view",
                                identifier = identity,
                                timestamp = at + view,
                            }
                    )
            );
            if (random.Next(3) > 0)
            {
                // Held out, they spend more than anyone else, which must not reach the arms.
                spent = random.Next(100, 10_000) / 100.0 * (heldOut ? 10 : 1);
                events.Add(
                    new
                    {
                        @event = "purchase",
                        identifier = identity,
                        value = spent.ToString(CultureInfo.InvariantCulture),
                        timestamp = at + 10,
                    }
                );
            }

            events.Add(
                new
                {
                    @event = "purchase",
                    identifier = identity,
                    value = "1000000",
                    timestamp = at - 60_000,
                }
            );
            people.Add((heldOut ? "held_out" : own, spent, views, views > 0 && spent > 0));
        }

        // Who was kept out and saw something else all the same counts nowhere.
        var strayed = Enumerable.Range(1000, 1000).Select(n => $"user-{n}").First(identity => Assignment.Admits(holdoutSalt, identity, 40));
        events.Add(
            new
            {
                @event = "$flag_exposure",
                feature_name = "f",
                identifier = strayed,
                value = "test",
                timestamp = at,
            }
        );
        events.Add(
            new
            {
                @event = "purchase",
                identifier = strayed,
                value = "1000000",
                timestamp = at + 1,
            }
        );
        var shuffled = events.ToArray();
        random.Shuffle(shuffled);
        await given.Send(shuffled);
        var results = await given.Results(experiment);

        var heldOutCount = people.Count(person => person.Arm == "held_out");
        var exposures = await given.Exposures(experiment);
        foreach (var reply in new[] { exposures, results })
        {
            reply["held_out"].GetValue<int>().ShouldBe(heldOutCount);
            reply["total"].GetValue<int>().ShouldBe(240 - heldOutCount);
            reply["excluded"]["not_its_own_variant"]!.GetValue<int>().ShouldBe(1);
            foreach (var variant in reply["variants"].AsArray())
            {
                variant!["identities"]!.GetValue<int>().ShouldBe(people.Count(person => person.Arm == variant["key"]!.GetValue<string>()));
            }
        }

        exposures["series"]["points"]!
            .AsArray()
            .Sum(point => point!["identities"]!.AsObject().Sum(count => count.Value!.GetValue<int>()))
            .ShouldBe(240 - heldOutCount);

        // The arms of the experiment know nothing of them: neither the sums, nor the percentile that values are held to, nor the funnel.
        var ordered = people.Where(person => person.Arm != "held_out").Select(person => person.Spent).Order().ToList();
        var highest = ordered[(int)Math.Ceiling(0.8 * ordered.Count) - 1];
        foreach (var key in new[] { "control", "test" })
        {
            var own = people.Where(person => person.Arm == key).ToList();
            JsonNode Arm(int metric) =>
                results["metrics"].AsArray().Single(node => node!["metric"]!.GetValue<long>() == metrics[metric].Id)!["arms"]!
                    .AsArray()
                    .Single(arm => arm!["key"]!.GetValue<string>() == key)!;
            Arm(0)["sum"]!.GetValue<double>().ShouldBe(own.Count(person => person.Spent > 0));
            Arm(1)["n"]!.GetValue<int>().ShouldBe(own.Count);
            Arm(1)["sum"]!.GetValue<double>().ShouldBe(own.Sum(person => person.Spent), 1e-6);
            Arm(2)["denominator_sum"]!.GetValue<double>().ShouldBe(own.Sum(person => person.Views));
            Arm(3)["sum"]!.GetValue<double>().ShouldBe(own.Count(person => person.IsWhole));
            Arm(3)["reached_steps"]!
                .ToJsonString()
                .ShouldBe($"[{own.Count(person => person.Views > 0)},{own.Count(person => person.IsWhole)}]");
            Arm(4)["sum"]!.GetValue<double>().ShouldBe(own.Sum(person => Math.Min(person.Spent, highest)), 1e-6);
        }

        var compared = (await given.Admin.Get($"{Path(given)}{holdout.Id}/results/"))
            .Must(200)["experiments"]
            .AsArray()
            .ShouldHaveSingleItem()!;
        compared["id"]!.GetValue<long>().ShouldBe(experiment.Id);
        compared["held_out"]!.GetValue<int>().ShouldBe(heldOutCount);
        compared["rest"]!.GetValue<int>().ShouldBe(240 - heldOutCount);
        compared["metrics"]!
            .AsArray()
            .Select(node => node!["metric"]!.GetValue<long>())
            .ShouldBe(metrics.Select(metric => metric.Id), ignoreOrder: true);
        List<(string Arm, double Spent, int Views, bool IsWhole)>[] sides =
        [
            [.. people.Where(person => person.Arm == "held_out")],
            [.. people.Where(person => person.Arm != "held_out")],
        ];
        foreach (
            var (metric, value) in new (Reply, Func<(string Arm, double Spent, int Views, bool IsWhole), double>)[]
            {
                (metrics[0], person => person.Spent > 0 ? 1 : 0),
                (metrics[1], person => person.Spent),
                (metrics[3], person => person.IsWhole ? 1 : 0),
                (metrics[4], person => person.Spent),
            }
        )
        {
            var node = compared["metrics"]!.AsArray().Single(node => node!["metric"]!.GetValue<long>() == metric.Id)!;
            var isProportion = metric["aggregation"].GetValue<string>() is "occurrence" or "funnel";
            var (held, rest) = (Moments([.. sides[0].Select(value)], isProportion), Moments([.. sides[1].Select(value)], isProportion));
            foreach (var (name, side) in new[] { ("held_out", held), ("rest", rest) })
            {
                node[name]!["n"]!.GetValue<int>().ShouldBe(side.N);
                node[name]!["sum"]!.GetValue<double>().ShouldBe(side.N * side.Mean, 1e-6);
                node[name]!["mean"]!.GetValue<double>().ShouldBe(side.Mean, 1e-9);
            }

            var difference = rest.Mean - held.Mean;
            var error = Math.Sqrt((rest.Variance / rest.N) + (held.Variance / held.N));
            var freedom =
                Math.Pow((rest.Variance / rest.N) + (held.Variance / held.N), 2)
                / ((Math.Pow(rest.Variance / rest.N, 2) / (rest.N - 1)) + (Math.Pow(held.Variance / held.N, 2) / (held.N - 1)));
            var over = node["rest_over_held_out"]!;
            over["effect"]!.GetValue<double>().ShouldBe(difference / held.Mean, 1e-9);
            over["standard_error"]!.GetValue<double>().ShouldBe(error, 1e-9);
            over["frequentist"]!["p_value"]!
                .GetValue<double>()
                .ShouldBe(2 * StudentT.CDF(0, 1, freedom, -Math.Abs(difference / error)), 1e-7);
            over["bayesian"]!["chance_to_win"]!.GetValue<double>().ShouldBe(Normal.CDF(0, 1, difference / error), 1e-7);
        }

        var ratio = compared["metrics"]!.AsArray().Single(node => node!["metric"]!.GetValue<long>() == metrics[2].Id)!;
        foreach (var (name, side) in new[] { ("held_out", sides[0]), ("rest", sides[1]) })
        {
            ratio[name]!["sum"]!.GetValue<double>().ShouldBe(side.Sum(person => person.Spent), 1e-6);
            ratio[name]!["denominator_sum"]!.GetValue<double>().ShouldBe(side.Sum(person => person.Views));
            ratio[name]!["mean"]!.GetValue<double>().ShouldBe(side.Sum(person => person.Spent) / side.Sum(person => person.Views), 1e-9);
        }
    }

    [Fact]
    public async Task Without_a_start_or_anybody_there_is_nothing_to_compare()
    {
        var given = await Given.AnEnvironment(service);
        var holdout = await given.AHoldout(50);
        (await given.Admin.Get($"{Path(given)}{holdout.Id}/results/")).Must(200)["experiments"].AsArray().ShouldBeEmpty();
        var metric = await given.AMetric("mean", "m", new { @event = "purchase", property = "value" });
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f" },
                    holdout = holdout.Id,
                    metrics = new[] { new { metric = metric.Id, expected_direction = "increase" } },
                }
            )
        ).Must(201);
        (await given.Admin.Get($"{Path(given)}{holdout.Id}/results/")).Must(200)["experiments"].AsArray().ShouldBeEmpty();

        await given.Start(experiment);
        var compared = (await given.Admin.Get($"{Path(given)}{holdout.Id}/results/"))
            .Must(200)["experiments"]
            .AsArray()
            .ShouldHaveSingleItem()!;
        compared["held_out"]!.GetValue<int>().ShouldBe(0);
        compared["rest"]!.GetValue<int>().ShouldBe(0);
        compared["metrics"]!.AsArray().ShouldAllBe(node => node!["rest_over_held_out"]!["effect"] == null && node["rest"]!["mean"] == null);
    }

    [Fact]
    public async Task Before_the_start_an_experiment_may_be_given_another_holdout_or_none()
    {
        var given = await Given.AnEnvironment(service);
        var (one, two) = (await given.AHoldout(5, "one"), await given.AHoldout(10, "two"));
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f" },
                    holdout = one.Id,
                }
            )
        ).Must(201);
        var path = $"{given.Experiments}{experiment.Id}/";
        experiment["holdout"].ToJsonString().ShouldBe($$"""{"id":{{one.Id}},"name":"one","percentage":5}""");
        (await given.Admin.Get($"{Path(given)}{one.Id}/"))["experiments"]
            .ToJsonString()
            .ShouldBe($$"""[{"id":{{experiment.Id}},"name":"n","status":"created"}]""");

        var swapped = (await given.Admin.Patch(path, new { holdout = two.Id })).Must(200);
        swapped["holdout"]["id"]!.GetValue<long>().ShouldBe(two.Id);
        (await given.Admin.Get($"{Path(given)}{one.Id}/"))["experiments"].AsArray().ShouldBeEmpty();
        // The experiment shows its holdout, so it is another one when that changes.
        (await given.Admin.Patch($"{Path(given)}{two.Id}/", new { percentage = 11.5 })).Must(200);
        var shown = (await given.Admin.Get(path)).Must(200);
        shown["holdout"]["percentage"]!.GetValue<decimal>().ShouldBe(11.5m);
        shown.ETag.ShouldNotBe(swapped.ETag);
        (await given.Admin.Patch(path, """{"holdout": null}""")).Must(200).Json!["holdout"].ShouldBeNull();
        (await service.Query<long?>("SELECT holdout_id FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBeNull();
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.updated", "experiment.updated"]);
    }

    [Fact]
    public async Task With_its_holdout_a_draft_loses_it_and_its_log_says_so()
    {
        var given = await Given.AnEnvironment(service);
        var holdout = await given.AHoldout(5);
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f" },
                    holdout = holdout.Id,
                }
            )
        ).Must(201);

        (await given.Admin.Delete($"{Path(given)}{holdout.Id}/")).Must(204);

        var now = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
        now.Json!["holdout"].ShouldBeNull();
        now.ETag.ShouldNotBe(experiment.ETag);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { name = "x" }, ("If-Match", experiment.ETag!))).MustBe(
            412,
            "etag.stale"
        );
        (await given.Audit("holdout", holdout.Id)).ShouldBe(["holdout.created", "holdout.deleted"]);
        // Every change of an experiment leaves an entry, as it does when its feature changes.
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.updated"]);
    }

    [Theory]
    [InlineData("start")]
    [InlineData("start", "pause")]
    [InlineData("start", "complete")]
    public async Task From_the_start_on_neither_the_choice_nor_the_percentage_changes(params string[] actions)
    {
        var given = await Given.AnEnvironment(service);
        var (holdout, other) = (await given.AHoldout(5), await given.AHoldout(5));
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f" },
                    holdout = holdout.Id,
                }
            )
        ).Must(201);
        foreach (var action in actions)
        {
            (await given.Act(experiment.Id, action)).Must(200);
        }

        var (path, own) = ($"{given.Experiments}{experiment.Id}/", $"{Path(given)}{holdout.Id}/");
        var (before, entries) = ((await given.Admin.Get(path)).Text, await service.Query<long>("SELECT count(*) FROM audit_log"));
        (await given.Admin.Patch(path, new { holdout = other.Id })).MustBe(409, "experiment.settings_frozen");
        (await given.Admin.Patch(path, """{"holdout": null, "name": "new"}""")).MustBe(409, "experiment.settings_frozen");
        (await given.Admin.Patch(path, new { holdout = holdout.Id })).Must(200);
        (await given.Admin.Patch(own, new { percentage = 6, name = "new" })).MustBe(409, "holdout.fixed");
        if (!actions.Contains("complete"))
        {
            (await given.Admin.Delete(own)).MustBe(409, "holdout.in_use");
            (await given.Admin.Post($"{own}retire/")).MustBe(409, "holdout.in_use");
        }

        (await given.Admin.Get(path)).Text.ShouldBe(before);
        (
            await service.Query<string>(
                "SELECT name || percentage || COALESCE(deleted_at::text, '') FROM holdouts WHERE id = @Id",
                new { holdout.Id }
            )
        ).ShouldBe("holdout5");
        (await service.Query<long>("SELECT count(*) FROM audit_log")).ShouldBe(entries);

        // What it is called may change at any time, also with the percentage that it has.
        (await given.Admin.Patch(own, new { name = "new", percentage = 5 }))
            .Must(200)["name"]
            .GetValue<string>()
            .ShouldBe("new");
        (await given.Admin.Get(path))["holdout"]["name"]!.GetValue<string>().ShouldBe("new");
        (await given.Admin.Delete($"{Path(given)}{other.Id}/")).Must(204);
    }

    [Fact]
    public async Task The_holdout_of_another_environment_is_as_good_as_none()
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        var holdout = await theirs.AHoldout(5);
        var draft = await ours.AnExperiment();
        var (own, entries) = ($"{Path(ours)}{holdout.Id}/", await service.Query<long>("SELECT count(*) FROM audit_log"));
        Task<Reply> Create(long id) =>
            ours.Admin.Post(
                ours.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f" },
                    holdout = id,
                }
            );

        (await Create(holdout.Id))
            .MustName("holdout")["errors"]
            .ToJsonString()
            .ShouldBe((await Create(987_654_321))["errors"].ToJsonString());
        (await ours.Admin.Patch($"{ours.Experiments}{draft.Id}/", new { holdout = holdout.Id, name = "new" })).MustName("holdout");
        (await ours.Admin.Patch($"{ours.Experiments}{draft.Id}/", """{"holdout": "1"}""")).Must(400).Fields.ShouldBe(["holdout"]);
        (await ours.Admin.Get(own)).MustBe(404, "holdout.not_found");
        (await ours.Admin.Patch(own, new { percentage = 50 })).MustBe(404, "holdout.not_found");
        (await ours.Admin.Delete(own)).MustBe(404, "holdout.not_found");
        (await ours.Admin.Get($"{own}results/")).MustBe(404, "holdout.not_found");
        (await ours.Admin.Get(Path(ours)))["count"].GetValue<int>().ShouldBe(0);
        (await service.AsUser("stranger").Get($"{Path(theirs)}{holdout.Id}/")).MustBe(403, "access.denied");

        (await ours.Admin.Get($"{ours.Experiments}{draft.Id}/")).Text.ShouldBe(draft.Text);
        (await theirs.Admin.Get($"{Path(theirs)}{holdout.Id}/")).Text.ShouldBe(holdout.Text);
        (await service.Query<long>("SELECT count(*) FROM audit_log")).ShouldBe(entries);
        (
            await service.Query<long>(
                "SELECT count(*) FROM environment_features f JOIN environments e ON e.id = f.environment_id WHERE e.key = @Key",
                new { ours.Key }
            )
        ).ShouldBe(1);
    }

    [Fact]
    public async Task A_start_and_a_deletion_at_once_end_in_one_of_both_orders()
    {
        var given = await Given.AnEnvironment(service);
        for (var round = 0; round < 8; round++)
        {
            var holdout = await given.AHoldout(50);
            var experiment = (
                await given.Admin.Post(
                    given.Experiments,
                    new
                    {
                        name = "n",
                        hypothesis = "h",
                        feature = new { name = $"f-{round}" },
                        holdout = holdout.Id,
                    }
                )
            ).Must(201);
            var (start, delete) = (given.Act(experiment.Id, "start"), given.Admin.Delete($"{Path(given)}{holdout.Id}/"));

            (await start).Must(200);
            var reply = await delete;
            var isDeleted = reply.Code == 204;
            if (!isDeleted)
            {
                reply.MustBe(409, "holdout.in_use");
            }

            (await service.Query<long?>("SELECT holdout_id FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe(
                isDeleted ? null : holdout.Id
            );
        }
    }

    [Fact]
    public async Task A_deletion_that_has_waited_takes_no_holdout_from_an_experiment_that_is_just_starting()
    {
        var given = await Given.AnEnvironment(service);
        var holdout = await given.AHoldout(50);
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f" },
                }
            )
        ).Must(201);
        await using var reader = await Open();
        await using var blocker = await Open();

        // Whoever else is being given the holdout makes the deletion wait; it has looked for experiments that have it by then, and found
        // none.
        var reading = await reader.BeginTransactionAsync();
        await reader.ExecuteAsync("SELECT FROM holdouts WHERE id = @Id FOR SHARE", new { holdout.Id });
        var delete = given.Admin.Delete($"{Path(given)}{holdout.Id}/");
        await Given.Eventually(async () => await WaitsFor(reader.ProcessID) is not null);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { holdout = holdout.Id })).Must(200);
        // The last thing that a start does is its entry, which looks at the environment.
        var blocking = await blocker.BeginTransactionAsync();
        await blocker.ExecuteAsync("SELECT FROM environments WHERE key = @Key FOR UPDATE", new { given.Key });
        var start = given.Act(experiment.Id, "start");
        int? starting = null;
        await Given.Eventually(async () => (starting = await WaitsFor(blocker.ProcessID)) is not null);
        await reading.CommitAsync();
        await Given.Eventually(async () => delete.IsCompleted || await WaitsFor(starting!.Value) is not null);
        await blocking.CommitAsync();

        (await start).Must(200);
        (await delete).MustBe(409, "holdout.in_use");
        (await service.Query<long?>("SELECT holdout_id FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe(holdout.Id);

        async Task<NpgsqlConnection> Open()
        {
            var connection = new NpgsqlConnection(service.ConnectionString);
            await connection.OpenAsync();
            return connection;
        }

        Task<int?> WaitsFor(int process) =>
            service.Query<int?>("SELECT min(pid) FROM pg_stat_activity WHERE @process = ANY (pg_blocking_pids(pid))", new { process });
    }

    private static string Path(Given given) => $"{given.Root}/holdouts/";

    private static async Task<Reply> Started(Given given, Reply holdout) =>
        await given.Start(
            (
                await given.Admin.Post(
                    given.Experiments,
                    new
                    {
                        name = "n",
                        hypothesis = "h",
                        feature = new { name = "f" },
                        holdout = holdout.Id,
                    }
                )
            ).Must(201)
        );

    private Task<string> Salt(Reply holdout) => service.Query<string>("SELECT salt FROM holdouts WHERE id = @Id", new { holdout.Id });

    private static (int N, double Mean, double Variance) Moments(List<double> values, bool isProportion)
    {
        var mean = values.Average();
        return (values.Count, mean, isProportion ? mean * (1 - mean) : values.Sum(y => (y - mean) * (y - mean)) / (values.Count - 1));
    }
}
