using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Experiments;

public class DuplicateAndResetTests(SharedService service) : IClassFixture<SharedService>
{
    private const string Derived = """
        SELECT concat_ws(',',
            (SELECT count(*) FROM exposures WHERE experiment_id = @Id), (SELECT count(*) FROM exposure_counts WHERE experiment_id = @Id),
            (SELECT count(*) FROM unit_metrics WHERE experiment_id = @Id), (SELECT count(*) FROM results WHERE experiment_id = @Id),
            (SELECT count(*) FROM results_history WHERE experiment_id = @Id),
            (SELECT count(*) FROM metric_sums s JOIN experiment_metrics l ON l.id = s.link_id WHERE l.experiment_id = @Id),
            (SELECT count(*) FROM metric_steps s JOIN experiment_metrics l ON l.id = s.link_id WHERE l.experiment_id = @Id))
        """;

    [Fact]
    public async Task A_duplicate_asks_the_same_with_a_salt_of_its_own_and_nothing_of_what_happened()
    {
        var given = await Given.AnEnvironment(service);
        var holdout = (await given.Admin.Post($"{given.Root}/holdouts/", new { name = "Nobody's test", percentage = 5 })).Must(201);
        var (converted, revenue, errors) = (
            await given.AMetric("occurrence", "converted"),
            await given.AMetric("sum", "revenue", new { @event = "purchase", property = "value" }, "informational"),
            await given.AMetric("occurrence", "errors", new { @event = "error" }, "down")
        );
        var source = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "Green button",
                    hypothesis = "Green sells.",
                    description = "All of checkout.",
                    feature = (await given.AFeature("green", "red")).Id,
                    rollout_percentage = 25,
                    holdout = holdout.Id,
                    exposure = new { multiple_variants = "first_seen" },
                    variants = new[]
                    {
                        new { key = "control", weight = 20.5 },
                        new { key = "green", weight = 49.5 },
                        new { key = "red", weight = 30.0 },
                    },
                    metrics = new object[]
                    {
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
                            expected_direction = "decrease",
                        },
                        new
                        {
                            metric = errors.Id,
                            role = "guardrail",
                            expected_direction = "not_increase",
                        },
                    },
                }
            )
        ).Must(201);
        await given.Start(source);
        source = (await given.Act(source.Id, "complete", new { conclusion = "inconclusive" })).Must(200);

        var copy = (await given.Act(source.Id, "duplicate")).Must(201);

        copy.Headers.Location!.ToString().ShouldBe($"{given.Experiments}{copy.Id}/");
        (await given.Admin.Get(copy.Headers.Location.ToString())).Must(200).Text.ShouldBe(copy.Text);
        copy["name"].GetValue<string>().ShouldBe("Green button (copy)");
        copy["status"].GetValue<string>().ShouldBe("created");
        foreach (
            var member in new[] { "hypothesis", "description", "type", "feature", "rollout_percentage", "variants", "holdout", "exposure" }
        )
        {
            copy[member].ToJsonString().ShouldBe(source[member].ToJsonString(), member);
        }

        Metrics(copy).ShouldBe(Metrics(source));
        Metrics(copy).Count.ShouldBe(3);
        foreach (
            var member in new[]
            {
                "parameters",
                "exposure_cohort",
                "conclusion",
                "conclusion_comment",
                "shipped_variant",
                "started_at",
                "ended_at",
            }
        )
        {
            copy.Json![member].ShouldBeNull(member);
        }

        (await given.Salt(copy)).ShouldNotBe(await given.Salt(source));
        (await given.Audit("experiment", copy.Id)).ShouldBe(["experiment.created"]);
        (
            await service.Query<long>(
                "SELECT (after->>'duplicate_of')::bigint FROM audit_log WHERE object_type = 'experiment' AND object_id = @Id",
                new { copy.Id }
            )
        ).ShouldBe(source.Id);
        (await given.Admin.Get($"{given.Experiments}{source.Id}/")).Text.ShouldBe(source.Text);
        (await given.Exposures(copy))["total"].GetValue<int>().ShouldBe(0);
        await given.Start(copy);
    }

    [Fact]
    public async Task A_duplicate_of_a_web_experiment_changes_the_page_as_it_did()
    {
        var given = await Given.AnEnvironment(service);
        var source = (
            await given.Admin.Post(
                given.Experiments,
                $$"""
                {"name": "Page", "hypothesis": "h", "type": "web", "feature": {{(await given.AFeature("big")).Id}}, "variants": [
                    {"key": "control", "weight": 50},
                        {"key": "big", "weight": 50, "transforms": [{"selector": "h1", "text": "Big", "css": "color: red"}]}]}
                """
            )
        ).Must(201);
        (await given.Act(source.Id, "start")).Must(200);
        (await given.Act(source.Id, "complete")).Must(200);

        var copy = (await given.Act(source.Id, "duplicate", new { name = "  Page, again  " })).Must(201);

        copy["name"].GetValue<string>().ShouldBe("Page, again");
        copy["type"].GetValue<string>().ShouldBe("web");
        copy["variants"].ToJsonString().ShouldBe(source["variants"].ToJsonString());
        copy["variants"][1]!["transforms"]![0]!["text"]!.GetValue<string>().ShouldBe("Big");
    }

    [Fact]
    public async Task On_another_feature_a_duplicate_has_that_features_values_and_the_same_split()
    {
        var given = await Given.AnEnvironment(service);
        var source = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = (await given.AFeature("green", "red")).Id,
                    variants = new[]
                    {
                        new { key = "control", weight = 50 },
                        new { key = "green", weight = 20 },
                        new { key = "red", weight = 30 },
                    },
                }
            )
        ).Must(201);
        var other = (
            await given.Admin.Post(
                given.Features,
                """{"name": "other", "initial_value": 0, "multivariate_options": [{"key": "red", "value": 1}, {"key": "green","""
                    + """ "value": 2}]}"""
            )
        ).Must(201);
        await given.Start(source);

        var copy = (await given.Act(source.Id, "duplicate", new { feature = other.Id })).Must(201);

        copy["feature"]["id"]!.GetValue<long>().ShouldBe(other.Id);
        copy["variants"]
            .ToJsonString()
            .ShouldBe(
                """[{"key":"control","value":0,"weight":50},{"key":"red","value":1,"weight":30},{"key":"green","value":2,"weight":20}]"""
            );
    }

    [Fact]
    public async Task A_duplicate_has_its_metrics_as_they_are_now_and_not_those_that_are_gone()
    {
        var given = await Given.AnEnvironment(service);
        var (kept, gone) = (await given.AMetric("occurrence", "kept"), await given.AMetric("occurrence", "gone"));
        var holdout = (await given.Admin.Post($"{given.Root}/holdouts/", new { name = "h", percentage = 5 })).Must(201);
        var source = await given.AnExperimentWith(
            new
            {
                metric = gone.Id,
                role = "primary",
                expected_direction = "increase",
            },
            new
            {
                metric = kept.Id,
                role = "secondary",
                expected_direction = "increase",
            }
        );
        (await given.Admin.Patch($"{given.Experiments}{source.Id}/", new { holdout = holdout.Id })).Must(200);
        await given.Start(source);
        (await given.Act(source.Id, "complete")).Must(200);
        (await given.Admin.Delete($"{given.Metrics}{gone.Id}/")).Must(204);
        (await given.Admin.Patch($"{given.Metrics}{kept.Id}/", new { definition = new { @event = "signup" } })).Must(200);

        var copy = (await given.Act(source.Id, "duplicate")).Must(201);

        Metrics(copy).ShouldHaveSingleItem();
        (
            await service.Query<string>(
                "SELECT metric_id || ' ' || (definition->>'event') FROM experiment_metrics WHERE experiment_id = @Id",
                new { copy.Id }
            )
        ).ShouldBe($"{kept.Id} signup");
        (
            await service.Query<string>(
                "SELECT definition->>'event' FROM experiment_metrics WHERE experiment_id = @Id AND metric_id = @Kept",
                new { source.Id, Kept = kept.Id }
            )
        ).ShouldBe("purchase");
        copy["holdout"]["id"]!.GetValue<long>().ShouldBe(holdout.Id);
    }

    [Fact]
    public async Task Of_twenty_duplicates_at_once_on_one_feature_exactly_one_is_made()
    {
        var given = await Given.AnEnvironment(service);
        var source = await given.AnExperimentThatIs("completed");

        var replies = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => given.Act(source.Id, "duplicate")));

        var made = replies.Where(reply => reply.Code == 201).ShouldHaveSingleItem();
        replies.Count(reply => reply.Problem == "experiment.already_active").ShouldBe(19);
        (await Count(given)).ShouldBe(2);
        (await given.Act(made.Id, "duplicate")).MustBe(409, "experiment.already_active");
        (await Count(given)).ShouldBe(2);
    }

    [Theory]
    [InlineData("""{"name": " "}""", "name")]
    [InlineData("""{"name": 5, "feature": "1"}""", "name", "feature")]
    [InlineData("""{"feature": 0}""", "feature")]
    [InlineData("""{"feature": 987654321}""", "feature")]
    [InlineData("""{"feature": {"name": "x"}}""", "feature")]
    [InlineData("""{"status": "running", "hypothesis": "h"}""", "status", "hypothesis")]
    public async Task What_breaks_a_rule_of_a_duplicate_is_named_and_nothing_is_written(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);
        var source = await given.AnExperimentThatIs("completed");

        (await given.Admin.PostText($"{given.Experiments}{source.Id}/duplicate/", body)).MustName(fields);

        (await Count(given)).ShouldBe(1);
    }

    [Fact]
    public async Task A_duplicate_stands_on_a_feature_of_this_project_and_compares_what_that_serves()
    {
        var given = await Given.AnEnvironment(service);
        var other = await given.Stranger();
        var source = await given.AnExperimentThatIs("completed");
        var (foreign, unlike) = (await other.AFeature(), await given.AFeature("red"));
        var plain = (await given.Admin.Post(given.Features, new { name = "plain" })).Must(201);

        var refused = (await given.Act(source.Id, "duplicate", new { feature = foreign.Id })).MustName("feature");
        refused["errors"]
            .ToJsonString()
            .ShouldBe(
                (await given.Act(source.Id, "duplicate", new { feature = 987_654_321 })).MustName("feature")["errors"].ToJsonString()
            );
        (await given.Act(source.Id, "duplicate", new { feature = plain.Id })).MustName("feature");
        (await given.Admin.Delete($"{given.Features}{source["feature"]["id"]}/")).Must(204);
        (await given.Act(source.Id, "duplicate")).MustName("feature");
        (await Count(given)).ShouldBe(1);

        (await given.Act(source.Id, "duplicate", new { feature = unlike.Id }))
            .Must(201)["variants"]
            .ToJsonString()
            .ShouldBe("""[{"key":"control","value":"blue","weight":50},{"key":"red","value":"red","weight":50}]""");
        (await Count(other)).ShouldBe(0);
    }

    [Fact]
    public async Task The_name_of_a_duplicate_is_never_too_long()
    {
        var given = await Given.AnEnvironment(service);
        var name = string.Concat(Enumerable.Repeat("🧪", 255));
        var source = await given.AnExperimentThatIs("completed");
        (await given.Admin.Patch($"{given.Experiments}{source.Id}/", new { name })).Must(200);

        (await given.Act(source.Id, "duplicate", new { name = name + "x" })).MustName("name");
        (await given.Act(source.Id, "duplicate"))
            .Must(201)["name"]
            .GetValue<string>()
            .ShouldBe(string.Concat(Enumerable.Repeat("🧪", 248)) + " (copy)");
    }

    [Fact]
    public async Task A_reset_does_not_touch_a_feature_that_its_start_did_not_enable()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        await given.Enable((await given.Admin.Get($"{given.Features}{experiment["feature"]["id"]}/")).Must(200));
        await given.Start(experiment);

        (await given.Act(experiment.Id, "reset")).Must(200)["feature"]["enabled"]!.GetValue<bool>().ShouldBeTrue();
    }

    [Fact]
    public async Task A_duplicate_of_what_was_shipped_compares_what_the_original_did()
    {
        var given = await Given.AnEnvironment(service);
        var source = await given.Start(await given.AnExperiment());
        (await given.Act(source.Id, "complete", new { ship = "green" })).Must(200);

        var copy = (await given.Act(source.Id, "duplicate")).Must(201);

        copy["variants"].ToJsonString().ShouldBe(source["variants"].ToJsonString());
        copy["feature"]["initial_value"]!.GetValue<string>().ShouldBe("green");
        var path = $"{given.Experiments}{copy.Id}/";
        // It keeps that when its weights change, and when the feature does.
        const string Split = """{"rollout_percentage": 100, "split": [{"key": "green", "weight": 30}]}""";
        var split = (await given.Admin.Patch($"{path}rollout/", Split)).Must(200)["variants"];
        split.ToJsonString().ShouldBe("""[{"key":"control","value":"blue","weight":70},{"key":"green","value":"green","weight":30}]""");
        (await given.Admin.Patch($"{given.Features}{source["feature"]["id"]}/", new { initial_value = "lime" })).Must(200);
        (await given.Admin.Get(path)).Must(200)["variants"].ToJsonString().ShouldBe(split.ToJsonString());
        (await given.Act(copy.Id, "start")).Must(200);
    }

    [Fact]
    public async Task What_serves_the_same_to_all_starts_only_when_it_is_meant_to()
    {
        var given = await Given.AnEnvironment(service);
        async Task<Reply> Make(string type, string change, object? aa = null) =>
            (
                await given.Admin.Post(
                    given.Experiments,
                    $$$"""
                    {"name": "n", "hypothesis": "h", "type": "{{{type}}}", "aa": {{{aa
                        ?? "false"}}}, "feature": {"name": "f{{{Guid.NewGuid()}}}",
                     "variants": [{"key": "control", "value": 1}, {"key": "b", "value": 1, "weight": 50{{{change}}}}]}}
                    """
                )
            ).Must(201);
        var same = await Make("product", "");
        (await given.Act(same.Id, "start")).MustBe(409, "experiment.nothing_to_compare");
        (await given.Admin.Get($"{given.Experiments}{same.Id}/")).Text.ShouldBe(same.Text);
        (await given.Act((await Make("web", "")).Id, "start")).MustBe(409, "experiment.nothing_to_compare");
        (await given.Act((await Make("web", ", \"transforms\": [{\"selector\": \"h1\", \"text\": \"x\"}]")).Id, "start")).Must(200);
        (await given.Act((await Make("product", "", "true")).Id, "start")).Must(200)["aa"].GetValue<bool>().ShouldBeTrue();

        (await given.Admin.Patch($"{given.Experiments}{same.Id}/", new { aa = true })).Must(200);
        (await given.Act(same.Id, "start")).Must(200);
        (await given.Admin.Patch($"{given.Experiments}{same.Id}/", new { aa = false })).MustBe(409, "experiment.settings_frozen");
    }

    [Theory]
    [InlineData("running")]
    [InlineData("paused")]
    public async Task A_reset_leaves_nothing_of_the_run_but_a_record_of_it(string status)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given);
        await given.Start(experiment);
        await Purchase(given, experiment, 60);
        var results = await given.Results(experiment);
        var before =
            status == "paused"
                ? (await given.Act(experiment.Id, "pause")).Must(200)
                : (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
        (await service.Query<string>(Derived, new { experiment.Id })).Split(',').ShouldAllBe(count => count != "0");

        var reset = (await given.Act(experiment.Id, "reset", null, ("If-Match", before.ETag!))).Must(200);

        reset["status"].GetValue<string>().ShouldBe("created");
        reset.Json!["started_at"].ShouldBeNull();
        reset.ETag.ShouldNotBe(before.ETag);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(reset.Text);
        (await service.Query<string>(Derived, new { experiment.Id })).ShouldBe("0,0,0,0,0,0,0");
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200)["total"].GetValue<int>().ShouldBe(0);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/history/")).Must(200)["points"].AsArray().ShouldBeEmpty();
        reset["feature"]["enabled"]!.GetValue<bool>().ShouldBeFalse();
        (await given.Audit("feature", reset["feature"]["id"]!.GetValue<long>())).ShouldBe([
            "feature.created",
            "feature.updated",
            "feature.updated",
        ]);

        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/results/refresh/")).MustBe(409, "results.not_started");
        (await given.Exposures(experiment))["total"].GetValue<int>().ShouldBe(0);
        (await given.Audit("experiment", experiment.Id))[^1].ShouldBe("experiment.reset");
        var run = (await FormerRuns(given, experiment)).ShouldHaveSingleItem();
        run["started_at"]!.GetValue<string>().ShouldBe(before["started_at"].GetValue<string>());
        run["reset_at"]!.GetValue<string>().ShouldBe(reset["updated_at"].GetValue<string>());
        run["reset_by"]!.GetValue<string>().ShouldNotBeEmpty();
        run["experiment"]!["status"]!.GetValue<string>().ShouldBe(status);
        run["results"]!["as_of"]!.GetValue<DateTime>().ShouldBe(results["as_of"].GetValue<DateTime>());
        run["results"]!["total"]!.GetValue<int>().ShouldBe(60);
        JsonNode.DeepEquals(run["results"]!["metrics"], results["metrics"]).ShouldBeTrue();
    }

    [Fact]
    public async Task Started_again_only_what_is_new_counts_even_when_what_is_old_arrives_late()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given);
        await given.Start(experiment);
        var salt = await given.Salt(experiment);
        var old = await Purchase(given, experiment, 60);
        await given.Results(experiment);
        (await given.Act(experiment.Id, "reset")).Must(200);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200)["total"].GetValue<int>().ShouldBe(0);
        // While it does not run, one is shown it and buys.
        await Purchase(given, experiment, 5, "between");
        await Task.Delay(5);
        await given.Start(experiment);
        (await given.Salt(experiment)).ShouldBe(salt);

        // All of the first run comes once more, and some of it for the first time.
        await given.Send([.. old]);
        await Purchase(given, experiment, 10, "tardy", old[0]["timestamp"]!.GetValue<long>());
        await Purchase(given, experiment, 20);

        var results = await given.Results(experiment);
        results["total"].GetValue<int>().ShouldBe(20);
        results["excluded"].AsObject().ShouldAllBe(reason => reason.Value!.GetValue<int>() == 0);
        results["metrics"][0]!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(20 * 7);
        (await service.Query<long>("SELECT count(*) FROM exposures WHERE experiment_id = @Id", new { experiment.Id })).ShouldBe(20);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/history/"))
            .Must(200)["points"]
            .AsArray()
            .ShouldHaveSingleItem()!["total"]!
            .GetValue<int>()
            .ShouldBe(20);

        // The runs before are kept apart, the latest first.
        (await given.Act(experiment.Id, "reset")).Must(200);
        (await FormerRuns(given, experiment)).Select(run => run["results"]!["total"]!.GetValue<int>()).ShouldBe([20, 60]);
    }

    [Fact]
    public async Task Events_that_come_in_while_it_is_reset_leave_nothing_behind()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given);
        await given.Start(experiment);

        var sending = Enumerable.Range(0, 12).Select(n => Purchase(given, experiment, 50, $"batch-{n}", wait: false)).ToList();
        await Task.Delay(20);
        (await given.Act(experiment.Id, "reset")).Must(200);
        await Task.WhenAll(sending);

        await Given.Eventually(async () => (await given.Exposures(experiment))["events_not_counted"].GetValue<int>() == 0);
        (await service.Query<string>(Derived, new { experiment.Id })).ShouldBe("0,0,0,0,0,0,0");
    }

    [Fact]
    public async Task Results_that_are_being_computed_while_it_is_reset_are_not_kept()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given);
        var replies = new List<Reply>();
        for (var round = 0; round < 10; round++)
        {
            (await given.Act(experiment.Id, "start")).Must(200);

            var reading = Enumerable
                .Range(0, 6)
                .Select(_ => given.Admin.Get($"{given.Experiments}{experiment.Id}/results/?refresh=true"))
                .ToList();
            await Task.Delay(round);
            (await given.Act(experiment.Id, "reset")).Must(200);

            replies.AddRange(await Task.WhenAll(reading));
            (await service.Query<string>(Derived, new { experiment.Id })).ShouldBe("0,0,0,0,0,0,0");
        }

        replies.ShouldAllBe(reply => reply.Code == 200);
    }

    [Fact]
    public async Task Of_ten_resets_at_once_one_is_made_and_the_run_is_kept_once()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");

        var replies = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => given.Act(experiment.Id, "reset")));

        replies.Count(reply => reply.Code == 200).ShouldBe(1);
        replies.Count(reply => reply.Problem == "experiment.not_started").ShouldBe(9);
        var run = (await FormerRuns(given, experiment)).ShouldHaveSingleItem();
        // Nobody has asked for results.
        run["results"].ShouldBeNull();
    }

    [Theory]
    [InlineData("created", "experiment.not_started")]
    [InlineData("completed", "experiment.completed")]
    public async Task Only_what_runs_or_pauses_can_be_reset(string status, string code)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs(status);

        (await given.Act(experiment.Id, "reset")).MustBe(409, code);

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(experiment.Text);
        (await FormerRuns(given, experiment)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_reset_needs_the_newest_tag_and_takes_nothing_else()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");

        (await given.Act(experiment.Id, "reset", null, ("If-Match", "\"0-0\""))).MustBe(412, "etag.stale");
        (await given.Act(experiment.Id, "reset", new { keep = true })).MustName("keep");

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(experiment.Text);
        (await FormerRuns(given, experiment)).ShouldBeEmpty();
    }

    [Fact]
    public async Task After_a_reset_everything_may_change_that_the_start_had_fixed()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Measured(given);
        await given.Start(experiment);
        await Purchase(given, experiment, 10);
        (await given.Act(experiment.Id, "reset")).Must(200);
        await given.Served(flag => flag["metadata"]?["experiment"] is null);

        (await given.Admin.Patch($"{given.Features}{experiment["feature"]["id"]}/", new { initial_value = "black" })).Must(200);
        (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/",
                new { variants = new[] { new { key = "control", weight = 0 }, new { key = "green", weight = 100 } } }
            )
        ).Must(200);
        foreach (var metric in experiment["metrics"].AsArray())
        {
            (await given.Admin.Delete($"{given.Experiments}{experiment.Id}/metrics/{metric!["id"]}/")).Must(204);
        }

        var other = await given.AMetric("occurrence", "other");
        (
            await given.Admin.Post(
                $"{given.Experiments}{experiment.Id}/metrics/",
                new
                {
                    metric = other.Id,
                    role = "primary",
                    expected_direction = "increase",
                }
            )
        ).Must(201);
        await given.Start(experiment);
        await Purchase(given, experiment, 12, variant: "green");

        var results = await given.Results(experiment);
        results["total"].GetValue<int>().ShouldBe(12);
        var only = results["metrics"].AsArray().ShouldHaveSingleItem()!;
        only["added_after_start"]!.GetValue<bool>().ShouldBeFalse();
        only["arms"]![1]!["sum"]!.GetValue<double>().ShouldBe(12);
    }

    [Fact]
    public async Task Former_runs_come_page_by_page()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        for (var run = 0; run < 3; run++)
        {
            (await given.Act(experiment.Id, "start")).Must(200);
            (await given.Act(experiment.Id, "reset")).Must(200);
        }

        var second = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/former-runs/?page=2&page_size=2")).Must(200);
        second["count"].GetValue<int>().ShouldBe(3);
        second["results"].AsArray().Count.ShouldBe(1);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/former-runs/?page=3&page_size=2")).MustBe(404, "page.not_found");
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/former-runs/?page=0")).MustName("page");
    }

    [Theory]
    [InlineData("POST", "duplicate/", null)]
    [InlineData("POST", "duplicate/", """{"name": 5}""")]
    [InlineData("POST", "reset/", null)]
    [InlineData("GET", "former-runs/", null)]
    public async Task An_experiment_of_another_environment_or_one_that_is_deleted_is_as_good_as_none(
        string method,
        string path,
        string? body
    )
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        var experiment = await theirs.AnExperimentThatIs("running");
        Task<Reply> Ask(Given given, long id) =>
            given.Admin.Send(
                new HttpMethod(method),
                $"{given.Experiments}{id}/{path}",
                body is null ? null : Client.Bytes(System.Text.Encoding.UTF8.GetBytes(body))
            );

        (await Ask(ours, experiment.Id))
            .MustBe(404, "experiment.not_found")["detail"]
            .GetValue<string>()
            .ShouldBe((await Ask(ours, 987_654_321)).MustBe(404, "experiment.not_found")["detail"].GetValue<string>());
        (await theirs.Admin.Get($"{theirs.Experiments}{experiment.Id}/")).Text.ShouldBe(experiment.Text);
        (await Count(ours)).ShouldBe(0);
        (await Count(theirs)).ShouldBe(1);

        (await theirs.Act(experiment.Id, "pause")).Must(200);
        (await theirs.Admin.Delete($"{theirs.Experiments}{experiment.Id}/")).Must(204);
        (await Ask(theirs, experiment.Id)).MustBe(404, "experiment.not_found");
    }

    [Fact]
    public async Task An_experiment_comes_back_from_the_archive_as_it_was()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("completed");
        var path = $"{given.Experiments}{experiment.Id}/";

        (await given.Admin.Patch(path, new { archived = true })).Must(200)["archived"].GetValue<bool>().ShouldBeTrue();
        (await given.Admin.Get(given.Experiments)).Must(200)["count"].GetValue<int>().ShouldBe(0);
        (await given.Admin.Get(path)).Must(200);
        (await given.Admin.Patch(path, new { archived = false })).Must(200)["archived"].GetValue<bool>().ShouldBeFalse();

        (await given.Admin.Get(given.Experiments)).Must(200)["count"].GetValue<int>().ShouldBe(1);
        (await given.Admin.Get($"{given.Experiments}?archived=true")).Must(200)["count"].GetValue<int>().ShouldBe(0);
        (await service.Query<bool>("SELECT archived FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBeFalse();
        (await given.Audit("experiment", experiment.Id)).TakeLast(2).ShouldBe(["experiment.updated", "experiment.updated"]);
    }

    /// <summary>What the metrics of an experiment are, without the ids and the times of the links.</summary>
    private static List<string> Metrics(Reply experiment) =>
        [
            .. experiment["metrics"]
                .AsArray()
                .Select(metric =>
                {
                    var bare = metric!.DeepClone().AsObject();
                    bare.Remove("id");
                    bare.Remove("created_at");
                    return bare.ToJsonString();
                }),
        ];

    private static async Task<Reply> Measured(Given given)
    {
        var (revenue, funnel) = (
            await given.AMetric("sum", "revenue", new { @event = "purchase", property = "value" }),
            await given.AMetric(
                "funnel",
                "funnel",
                new { steps = new[] { new { @event = "purchase" }, new { @event = "purchase" } }, window_hours = 1 }
            )
        );
        return await given.AnExperimentWith(
            new
            {
                metric = revenue.Id,
                role = "primary",
                expected_direction = "increase",
            },
            new
            {
                metric = funnel.Id,
                role = "secondary",
                expected_direction = "increase",
            }
        );
    }

    /// <summary>So many are shown the experiment, and each spends seven.</summary>
    private static async Task<JsonObject[]> Purchase(
        Given given,
        Reply experiment,
        int count,
        string prefix = "user",
        long? at = null,
        bool wait = true,
        string? variant = null
    )
    {
        var salt = await given.Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        var (feature, now) = (experiment["feature"]["name"]!.GetValue<string>(), at ?? DateTimeOffset.UtcNow.ToUnixTimeMilliseconds());
        var events = Enumerable
            .Range(0, count)
            .Select(n => $"{prefix}-{n}")
            .SelectMany(identity =>
                new[]
                {
                    new JsonObject
                    {
                        ["event"] = "$flag_exposure",
                        ["feature_name"] = feature,
                        ["identifier"] = identity,
                        ["value"] = variant ?? (Assignment.Variant(salt, identity, halves) == 0 ? "control" : "green"),
                        ["timestamp"] = now,
                    },
                    new JsonObject
                    {
                        ["event"] = "purchase",
                        ["identifier"] = identity,
                        ["value"] = "7",
                        ["timestamp"] = now,
                    },
                }
            )
            .ToArray();
        await given.Send([.. events]);
        if (wait)
        {
            await Given.Eventually(async () => (await given.Exposures(experiment))["events_not_counted"].GetValue<int>() == 0);
        }

        return events;
    }

    private static async Task<List<JsonNode>> FormerRuns(Given given, Reply experiment) =>
        [.. (await given.Admin.Get($"{given.Experiments}{experiment.Id}/former-runs/")).Must(200)["results"].AsArray().Select(run => run!)];

    private Task<long> Count(Given given) =>
        service.Query<long>(
            "SELECT count(*) FROM experiments x JOIN environments e ON e.id = x.environment_id WHERE e.key = @Key",
            new { given.Key }
        );
}
