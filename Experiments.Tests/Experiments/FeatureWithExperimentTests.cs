using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Experiments;

public class FeatureWithExperimentTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_flag_and_its_experiment_are_made_in_one_request()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("occurrence");

        var created = (
            await given.Admin.Post(
                given.Experiments,
                $$$"""
                {"name": "Colours", "hypothesis": "h", "metrics": [{"metric": {{{metric.Id}}}, "expected_direction": "increase"}],
                 "feature": {"name": "  colour  ", "variants": [
                    {"key": "red", "value": {"hex": ["#f00"]}, "weight": 20.5}, {"key": "control", "value": "blue", "weight": 49.5},
                        {"key": "green", "value": 7, "weight": 30}]}}
                """
            )
        ).Must(201);

        created["variants"]
            .ToJsonString()
            .ShouldBe(
                """[{"key":"control","value":"blue","weight":49.5},{"key":"red","value":{"hex":["#f00"]},"weight":20.5},"""
                    + """{"key":"green","value":7,"weight":30}]"""
            );
        var feature = created["feature"]["id"]!.GetValue<long>();
        var flag = (await given.Admin.Get($"{given.Features}{feature}/")).Must(200);
        flag["name"].GetValue<string>().ShouldBe("colour");
        flag["enabled"].GetValue<bool>().ShouldBeFalse();
        flag["initial_value"].GetValue<string>().ShouldBe("blue");
        flag["multivariate_options"].AsArray().Select(option => option!["key"]!.GetValue<string>()).ShouldBe(["red", "green"]);
        (await given.Admin.Get(created.Headers.Location!.ToString())).Must(200).Text.ShouldBe(created.Text);
        (await given.Audit("feature", feature)).ShouldBe(["feature.created"]);
        (await given.Audit("experiment", created.Id)).ShouldBe(["experiment.created"]);
        (await Written(given)).ShouldBe("1 features, 1 experiments, 1 links, 3 entries");

        await given.Start(created);
        var (salt, cumulative) = (await given.Salt(created), Assignment.Cumulate([49.5m, 20.5m, 30]));
        for (var n = 0; n < 20; n++)
        {
            var variant = created["variants"][Assignment.Variant(salt, $"user-{n}", cumulative)]!;
            JsonNode.DeepEquals((await given.Evaluate(flag, $"user-{n}"))["value"], variant["value"]).ShouldBeTrue();
        }
    }

    [Fact]
    public async Task Without_variants_there_are_control_and_test_evenly()
    {
        var given = await Given.AnEnvironment(service);

        var created = await Made(given, new { name = "plain" });

        created["variants"]
            .ToJsonString()
            .ShouldBe("""[{"key":"control","value":"control","weight":50},{"key":"test","value":"test","weight":50}]""");
        (
            await service.Query<string>(
                "SELECT initial_value::text FROM environment_features f JOIN environments e ON e.id = f.environment_id WHERE e.key = @Key",
                new { given.Key }
            )
        ).ShouldBe("\"control\"");
    }

    [Fact]
    public async Task A_variant_without_a_value_serves_its_key_and_control_may_serve_nothing()
    {
        var given = await Given.AnEnvironment(service);

        var unvalued = await Made(
            given,
            new { name = "one", variants = new[] { new { key = "control", weight = 50 }, new { key = "b", weight = 50 } } }
        );
        var nothing = (
            await given.Admin.Post(
                given.Experiments,
                """{"name": "n", "hypothesis": "h", "feature": {"name": "two", "variants": [{"key": "control", "value": null,"""
                    + """ "weight": 50}, {"key": "b", "value": false, "weight": 50}]}}"""
            )
        ).Must(201);

        unvalued["variants"]
            .ToJsonString()
            .ShouldBe("""[{"key":"control","value":"control","weight":50},{"key":"b","value":"b","weight":50}]""");
        nothing["variants"]
            .ToJsonString()
            .ShouldBe("""[{"key":"control","value":null,"weight":50},{"key":"b","value":false,"weight":50}]""");
        (
            await given.Admin.Patch(
                $"{given.Experiments}{unvalued.Id}/",
                """{"variants": [{"key": "control", "value": null, "weight": 50}, {"key": "b", "weight": 50}]}"""
            )
        )
            .Must(200)["feature"]
            .AsObject()["initial_value"]
            .ShouldBeNull();
    }

    public static TheoryData<string, string[]> WrongVariants =>
        new()
        {
            { """{}""", [""] },
            { """[]""", [""] },
            { """[{"key": "control", "weight": 100}]""", [""] },
            { """[{"key": "a", "weight": 60}, {"key": "b", "weight": 50}]""", [""] },
            { """[{"key": "a", "weight": 100}, {"key": "control", "weight": null}, {"key": "control"}]""", ["[2].key"] },
            { """[{"key": "Control", "weight": 50}, {"key": "b", "weight": 50}]""", ["[0].key"] },
            { """[{"key": "control", "weight": 50}, {"key": "CONTROL", "weight": 50}]""", ["[1].key"] },
            { """[{"key": "control", "weight": 50}, {"key": "control", "weight": 50}]""", ["[1].key"] },
            { """[{"key": "control", "weight": 40}, {"key": "b", "weight": 30}, {"key": "b", "weight": 30}]""", ["[2].key"] },
            { """[{"key": "control", "weight": 50}, {"key": "a b", "weight": 50}]""", ["[1].key"] },
            { """[{"key": "control", "weight": 50}, {"key": "grün", "weight": 50}]""", ["[1].key"] },
            { """[{"key": "control", "weight": 50}, {"key": "", "weight": 50}]""", ["[1].key"] },
            { """[{"key": "control", "weight": 50}, {"weight": 50}]""", ["[1].key"] },
            { """[{"key": "control", "weight": 50}, null]""", ["", "[1].key", "[1].weight"] },
            { """[{"key": "control", "weight": 50}, {"key": 5, "weight": 50}]""", ["[1].key"] },
            { """[{"key": "control", "weight": 50}, {"key": "b", "weight": 49}]""", [""] },
            { """[{"key": "control", "weight": 60}, {"key": "b", "weight": 60}]""", [""] },
            { """[{"key": "control", "weight": 100}, {"key": "b"}]""", ["[1].weight"] },
            { """[{"key": "control", "weight": 101}, {"key": "b", "weight": -1}]""", ["", "[0].weight", "[1].weight"] },
            { """[{"key": "control", "weight": 50}, {"key": "b", "weight": "50"}]""", ["[1].weight"] },
            { """[{"key": "control", "weight": 50}, {"key": "b", "weight": 50, "value": null}]""", ["[1].value"] },
            { """[{"key": "control", "weight": 50}, {"key": "b", "weight": 50, "share": 1}]""", ["[1].share"] },
            { """[{"key": "control", "weight": 50}, {"key": "b", "weight": 50, "value": "a\u0000b"}]""", ["[1].value"] },
            { """[{"key": "control", "weight": 50}, {"key": "b", "weight": 50, "value": 1e400000}]""", ["[1].value"] },
        };

    [Theory]
    [MemberData(nameof(WrongVariants))]
    public async Task Wrong_variants_are_named_and_leave_no_flag_behind(string variants, string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (
            await given.Admin.Post(
                given.Experiments,
                $$$"""{"name": "n", "hypothesis": "h", "feature": {"name": "f", "variants": {{{variants}}}}}"""
            )
        )
            .Must(400)
            .Fields.ShouldBe(fields.Select(field => $"feature.variants{field}"), ignoreOrder: true);

        (await Written(given)).ShouldBe("0 features, 0 experiments, 0 links, 0 entries");
    }

    [Theory]
    [MemberData(nameof(WrongVariants))]
    public async Task Wrong_variants_are_named_in_a_patch_as_well_and_change_neither_side(string variants, string[] fields)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Made(given, new { name = "f" });

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", $$"""{"name": "new", "variants": {{variants}}}"""))
            .Must(400)
            .Fields.ShouldBe(fields.Select(field => $"variants{field}"), ignoreOrder: true);

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(experiment.Text);
        (await Written(given)).ShouldBe("1 features, 1 experiments, 0 links, 2 entries");
    }

    [Theory]
    [InlineData("""{}""", "feature.name")]
    [InlineData("""{"name": null}""", "feature.name")]
    [InlineData("""{"name": "  "}""", "feature.name")]
    [InlineData("""{"name": 7}""", "feature.name")]
    [InlineData("""{"name": "a\ud800"}""", "feature.name")]
    [InlineData("""{"name": "f", "colour": 1}""", "feature.colour")]
    [InlineData("""{"id": 1, "name": "f"}""", "feature.id")]
    [InlineData("""[1]""", "feature")]
    [InlineData("""true""", "feature")]
    [InlineData("""{"name": "f"}, "variants": [{"key": "control", "weight": 50}, {"key": "test", "weight": 50}]""", "variants")]
    [InlineData("""{"name": "f"}, "holdout": 999999""", "holdout")]
    [InlineData("""{"name": "f"}, "holdout": "1" """, "holdout")]
    [InlineData("""{"name": "f"}, "holdout": 1.5""", "holdout")]
    [InlineData("""{"name": "f"}, "metrics": {}""", "metrics")]
    [InlineData("""{"name": "f"}, "metrics": [null]""", "metrics[0].metric")]
    [InlineData("""{"name": "f"}, "metrics": [{"metric": 999999, "expected_direction": "increase"}]""", "metrics[0].metric")]
    [InlineData("""{"name": "f"}, "exposure": {"multiple_variants": "last"}""", "exposure.multiple_variants")]
    [InlineData("""{"name": "f"}, "rollout_percentage": 101""", "rollout_percentage")]
    public async Task Whatever_is_refused_leaves_no_flag_behind(string feature, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.PostText(given.Experiments, $$"""{"name": "n", "hypothesis": "h", "feature": {{feature}}}"""))
            .Must(400)
            .Fields.ShouldBe(fields, ignoreOrder: true);

        (await Written(given)).ShouldBe("0 features, 0 experiments, 0 links, 0 entries");
        await Made(given, new { name = "f" });
    }

    [Fact]
    public async Task Ten_variants_are_taken_and_eleven_are_not()
    {
        var given = await Given.AnEnvironment(service);
        static object Variants(int count) =>
            Enumerable.Range(0, count).Select(n => new { key = n == 0 ? "control" : $"v-{n}", weight = n == 0 ? 100 : 0 });

        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f", variants = Variants(11) },
                }
            )
        ).MustName("feature.variants");
        (await Written(given)).ShouldBe("0 features, 0 experiments, 0 links, 0 entries");
        var created = await Made(given, new { name = "f", variants = Variants(10) });
        (await given.Admin.Patch($"{given.Experiments}{created.Id}/", new { variants = Variants(11) })).MustName("variants");

        created["variants"].AsArray().Count.ShouldBe(10);
    }

    [Fact]
    public async Task Of_several_metrics_one_that_is_unknown_takes_everything_back()
    {
        var given = await Given.AnEnvironment(service);
        var (mine, foreign) = (await given.AMetric("count"), await (await given.Sibling()).AMetric("count"));
        var before = await Written(given);

        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "f" },
                    metrics = new[]
                    {
                        new { metric = mine.Id, expected_direction = "increase" },
                        new { metric = foreign.Id, expected_direction = "increase" },
                    },
                }
            )
        ).MustName("metrics[1].metric");

        (await Written(given)).ShouldBe(before);
    }

    [Fact]
    public async Task A_flag_whose_name_is_taken_is_not_made_whatever_its_case()
    {
        var given = await Given.AnEnvironment(service);
        var existing = await given.AFeature();
        var name = existing["name"].GetValue<string>().ToUpperInvariant();

        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name },
                }
            )
        ).MustBe(409, "feature.name_taken");

        (await Written(given)).ShouldBe("1 features, 0 experiments, 0 links, 1 entries");
        (await given.Admin.Get($"{given.Features}{existing.Id}/")).Text.ShouldBe(existing.Text);
    }

    [Fact]
    public async Task Of_twenty_at_once_that_make_the_same_flag_exactly_one_is_created()
    {
        var given = await Given.AnEnvironment(service);

        var replies = await Task.WhenAll(
            Enumerable
                .Range(0, 20)
                .Select(n =>
                    given.Admin.Post(
                        given.Experiments,
                        new
                        {
                            name = $"n-{n}",
                            hypothesis = "h",
                            feature = new { name = "f" },
                        }
                    )
                )
        );

        replies.Count(reply => reply.Code == 201).ShouldBe(1);
        replies.Count(reply => reply.Problem == "feature.name_taken").ShouldBe(19);
        (await Written(given)).ShouldBe("1 features, 1 experiments, 0 links, 2 entries");
    }

    [Fact]
    public async Task An_existing_flag_is_adopted_as_it_is()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();
        var split = """[{"key": "control", "weight": 10, "value": "other"}, {"key": "green", "weight": 90}]""";

        (
            await given.Admin.Post(
                given.Experiments,
                $$"""{"name": "n", "hypothesis": "h", "feature": {{feature.Id}}, "variants": {{split}}}"""
            )
        ).MustName("variants[0].value");
        var adopted = (
            await given.Admin.Post(
                given.Experiments,
                $$"""{"name": "n", "hypothesis": "h", "feature": {{feature.Id}}, "variants":"""
                    + $$""" {{split.Replace(", \"value\": \"other\"", "")}}}"""
            )
        ).Must(201);

        adopted["variants"]
            .ToJsonString()
            .ShouldBe("""[{"key":"control","value":"blue","weight":10},{"key":"green","value":"green","weight":90}]""");
        var now = (await given.Admin.Get($"{given.Features}{feature.Id}/")).Must(200);
        now["updated_at"].ToJsonString().ShouldBe(feature["updated_at"].ToJsonString());
        now["experiments"].ToJsonString().ShouldBe($$"""[{"id":{{adopted.Id}},"name":"n","status":"created"}]""");
        (await Written(given)).ShouldBe("1 features, 1 experiments, 0 links, 2 entries");
    }

    [Fact]
    public async Task Before_the_start_the_flag_follows_what_the_experiment_is_given()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Made(
            given,
            new
            {
                name = "f",
                variants = new object[]
                {
                    new
                    {
                        key = "control",
                        value = "blue",
                        weight = 40,
                    },
                    new
                    {
                        key = "green",
                        value = "#0f0",
                        weight = 30,
                    },
                    new
                    {
                        key = "red",
                        value = "#f00",
                        weight = 30,
                    },
                },
            }
        );
        var ids = Options(experiment);

        // One goes, one comes, one keeps its value, and control has another one.
        var patched = (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/",
                """{"variants": [{"key": "yellow", "weight": 25}, {"key": "control", "value": ["b"], "weight": 25}, {"key":"""
                    + """ "red", "weight": 50}]}"""
            )
        ).Must(200);

        patched["variants"]
            .ToJsonString()
            .ShouldBe(
                """[{"key":"control","value":["b"],"weight":25},{"key":"red","value":"#f00","weight":50},"""
                    + """{"key":"yellow","value":"yellow","weight":25}]"""
            );
        var feature = (await given.Admin.Get($"{given.Features}{experiment["feature"]["id"]}/")).Must(200);
        feature["initial_value"].ToJsonString().ShouldBe("""["b"]""");
        feature["multivariate_options"].ToJsonString().ShouldBe(patched["feature"]["multivariate_options"]!.ToJsonString());
        Options(patched).Keys.ShouldBe(["red", "yellow"]);
        Options(patched)["red"].ShouldBe(ids["red"]);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(patched.Text);
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.updated"]);
        (await given.Audit("feature", feature.Id)).ShouldBe(["feature.created", "feature.updated"]);

        (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/",
                """{"variants": [{"key": "control", "weight": 25}, {"key": "yellow", "weight": 25}, {"key": "red", "weight": 50}]}"""
            )
        )
            .Must(200)
            .ETag.ShouldBe(patched.ETag);
        (await given.Audit("feature", feature.Id)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Who_has_read_something_older_changes_neither_the_experiment_nor_its_flag()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Made(given, new { name = "f" });
        (await given.Admin.Patch($"{given.Features}{experiment["feature"]["id"]}/", new { initial_value = "elsewhere" })).Must(200);
        var before = await Written(given);

        (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/",
                """{"variants": [{"key": "control", "value": "mine", "weight": 10}, {"key": "other", "weight": 90}]}""",
                ("If-Match", experiment.ETag!)
            )
        ).MustBe(412, "etag.stale");

        (await Written(given)).ShouldBe(before);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/"))["variants"]
            .ToJsonString()
            .ShouldBe("""[{"key":"control","value":"elsewhere","weight":50},{"key":"test","value":"test","weight":50}]""");
    }

    [Theory]
    [InlineData("running")]
    [InlineData("paused")]
    [InlineData("completed")]
    public async Task From_its_start_on_what_an_experiment_compares_is_fixed(string status)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs(status);
        var holdout = (await given.Admin.Post($"{given.Root}/holdouts/", new { name = "h", percentage = 5 })).Must(201);
        var (path, before) = ($"{given.Experiments}{experiment.Id}/", await Written(given));

        foreach (
            var body in new[]
            {
                """{"variants": [{"key": "control", "weight": 49}, {"key": "green", "weight": 51}]}""",
                """{"variants": [{"key": "control", "weight": 50}, {"key": "green", "value": "other", "weight": 50}]}""",
                """{"variants": [{"key": "control", "weight": 50}, {"key": "other", "weight": 50}]}""",
                """{"name": "new", "variants": [{"key": "control", "weight": 20}, {"key": "green", "weight": 50}, {"key":"""
                    + """ "other", "weight": 30}]}""",
                """{"exposure": {"event": "page_view"}}""",
                """{"name": "new", "exposure": {"multiple_variants": "first_seen"}}""",
                $$"""{"holdout": {{holdout.Id}}}""",
            }
        )
        {
            (await given.Admin.Patch(path, body)).MustBe(409, "experiment.settings_frozen");
        }

        // What stays as it is may be said again.
        (
            await given.Admin.Patch(
                path,
                """{"variants": [{"key": "control", "weight": 50}, {"key": "green", "weight": 50}], "exposure": {}, "holdout": null}"""
            )
        ).Must(200);
        (await given.Admin.Get(path)).Text.ShouldBe(experiment.Text);
        (await Written(given)).ShouldBe(before);
    }

    [Fact]
    public async Task What_is_done_to_the_flag_elsewhere_never_contradicts_a_running_experiment()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await Made(given, new { name = "f" });
        var feature = $"{given.Features}{experiment["feature"]["id"]}/";
        (await given.Admin.Patch(feature, """{"multivariate_options": [{"key": "test", "value": 1}, {"key": "more", "value": 2}]}""")).Must(
            200
        );
        var running = await given.Start(experiment);

        foreach (
            var body in new[]
            {
                """{"initial_value": "x"}""",
                """{"multivariate_options": [{"key": "test", "value": 1}]}""",
                """{"multivariate_options": []}""",
                """{"name": "g"}""",
            }
        )
        {
            (await given.Admin.Patch(feature, body)).Must(409);
        }

        (await given.Admin.Delete(feature)).Must(409);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(running.Text);
        var (salt, thirds) = (await given.Salt(experiment), Assignment.Cumulate([33.34m, 33.33m, 33.33m]));
        for (var n = 0; n < 20; n++)
        {
            (await given.Evaluate(experiment["feature"], $"user-{n}"))["value"]
                .ToJsonString()
                .ShouldBe(new[] { "\"control\"", "1", "2" }[Assignment.Variant(salt, $"user-{n}", thirds)]);
        }
    }

    [Fact]
    public async Task A_change_and_the_start_at_once_end_in_one_of_both_orders()
    {
        var given = await Given.AnEnvironment(service);
        for (var round = 0; round < 8; round++)
        {
            var experiment = await Made(given, new { name = $"f-{round}" });
            var change = given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/",
                """{"variants": [{"key": "control", "value": 0, "weight": 10}, {"key": "other", "value": 1, "weight": 90}]}"""
            );
            var start = given.Act(experiment.Id, "start");
            (await start).Must(200);
            var reply = await change;
            var changed = reply.Code == 200;

            var now = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
            if (!changed)
            {
                reply.MustBe(409, "experiment.settings_frozen");
            }

            now["variants"]
                .ToJsonString()
                .ShouldBe(
                    changed
                        ? """[{"key":"control","value":0,"weight":10},{"key":"other","value":1,"weight":90}]"""
                        : """[{"key":"control","value":"control","weight":50},{"key":"test","value":"test","weight":50}]"""
                );
            now["feature"]["initial_value"]!.ToJsonString().ShouldBe(now["variants"][0]!["value"]!.ToJsonString());
            Options(now).Keys.ShouldBe([changed ? "other" : "test"]);
        }
    }

    [Fact]
    public async Task A_value_as_deep_as_a_body_may_be_is_made_changed_and_served()
    {
        var given = await Given.AnEnvironment(service);
        var deep = new string('[', 59) + new string(']', 59);
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                $$$"""{"name": "n", "hypothesis": "h", "feature": {"name": "f", "variants": [{"key": "control", "value":"""
                    + $$$""" {{{deep}}}, "weight": 50}, {"key": "b", "value": {{{deep}}}, "weight": 50}]}}"""
            )
        ).Must(201);

        (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/",
                $$"""{"variants": [{"key": "control", "value": [{{deep}}], "weight": 100}, {"key": "b", "value": [1],"""
                    + $$""" "weight": 0}]}"""
            )
        ).Must(200);
        await given.Start(experiment);

        (await given.Evaluate(experiment["feature"], "user-1")).Must(200)["value"].ToJsonString().ShouldBe($"[{deep}]");
    }

    [Fact]
    public async Task The_links_of_an_experiment_keep_what_a_client_says_of_them()
    {
        var given = await Given.AnEnvironment(service);
        var (one, two, three) = (await given.AMetric("count"), await given.AMetric("sum"), await given.AMetric("occurrence"));
        const string Metadata = """{"type": "tertiary", "nested": {"é": [1, null, true]}, "order": 2}""";

        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                $$"""
                {"name": "n", "hypothesis": "h", "feature": {"name": "f"}, "metrics": [
                    {"metric": {{one.Id}}, "expected_direction": "increase", "metadata": {{Metadata}}},
                        {"metric": {{two.Id}}, "expected_direction": "increase"}]}
                """
            )
        ).Must(201);
        var attached = (
            await given.Admin.Post(
                $"{given.Experiments}{experiment.Id}/metrics/",
                $$"""{"metric": {{three.Id}}, "expected_direction": "increase", "metadata": {{Metadata}}}"""
            )
        ).Must(201);

        JsonNode.DeepEquals(attached["metadata"], JsonNode.Parse(Metadata)).ShouldBeTrue(attached.Text);
        var read = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200)["metrics"].AsArray();
        read.Select(link => JsonNode.DeepEquals(link!["metadata"], JsonNode.Parse(Metadata))).ShouldBe([true, false, true]);
        read[1]!["metadata"]!.ToJsonString().ShouldBe("{}");
        (
            await service.QueryAll<bool>(
                "SELECT metadata = @Metadata::jsonb FROM experiment_metrics WHERE experiment_id = @Id ORDER BY id",
                new { experiment.Id, Metadata }
            )
        ).ShouldBe([true, false, true]);
        (
            await service.Query<string>(
                "SELECT after->'metrics'->0->'metadata'->>'type' FROM audit_log WHERE action = 'experiment.created' AND object_id = @Id",
                new { experiment.Id }
            )
        ).ShouldBe("tertiary");
    }

    [Theory]
    [InlineData("[]", false)]
    [InlineData("\"x\"", false)]
    [InlineData("7", false)]
    [InlineData("8192", true)]
    [InlineData("8193", false)]
    public async Task What_goes_with_a_link_is_an_object_of_8_KiB_at_most(string metadata, bool isTaken)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("count");
        var bare = await Made(given, new { name = "bare" });
        var before = await Written(given);
        if (metadata.Length == 4)
        {
            // Bytes and not characters: the é has two of them.
            metadata = $$"""{"a":"é{{new string('x', int.Parse(metadata) - 10)}}"}""";
        }

        var created = await given.Admin.Post(
            given.Experiments,
            $$"""{"name": "n", "hypothesis": "h", "feature": {"name": "f"}, "metrics": [{"metric": {{metric.Id}},"""
                + $$""" "expected_direction": "increase", "metadata": {{metadata}}}]}"""
        );
        var attached = await given.Admin.Post(
            $"{given.Experiments}{bare.Id}/metrics/",
            $$"""{"metric": {{metric.Id}}, "expected_direction": "increase", "metadata": {{metadata}}}"""
        );

        if (isTaken)
        {
            created.Must(201);
            attached.Must(201);
            return;
        }

        created.MustName("metrics[0].metadata");
        attached.MustName("metadata");
        (await Written(given)).ShouldBe(before);
    }

    private static async Task<Reply> Made(Given given, object feature) =>
        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature,
                }
            )
        ).Must(201);

    private static Dictionary<string, long> Options(Reply experiment) =>
        experiment["feature"]["multivariate_options"]!
            .AsArray()
            .ToDictionary(option => option!["key"]!.GetValue<string>(), option => option!["id"]!.GetValue<long>());

    private Task<string> Written(Given given) =>
        service.Query<string>(
            """
            SELECT concat((SELECT count(*) FROM environment_features WHERE environment_id = e.id), ' features, ',
                (SELECT count(*) FROM experiments
                WHERE environment_id = e.id), ' experiments, ',
                          (SELECT count(*) FROM experiment_metrics WHERE environment_id = e.id), ' links, ',
                          (SELECT count(*) FROM audit_log WHERE environment_id = e.id AND object_type <> 'environment'), ' entries')
            FROM environments e WHERE e.key = @Key
            """,
            new { given.Key }
        );
}
