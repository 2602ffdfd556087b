namespace Experiments.Tests.Features;

public class FeatureTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_feature_keeps_any_json_as_its_values()
    {
        var given = await Given.AnEnvironment(service);
        const string Body = """
            {"name": " Colour ", "initial_value": {"rgb": [0, 0, 255], "name": "blau 🟦"}, "multivariate_options": [
                {"key": "b", "value": false, "default_percentage_allocation": 12.5}, {"key": "a", "value": 3.25}]}
            """;

        var created = (await given.Admin.Post(given.Features, Body)).Must(201);

        created["name"].GetValue<string>().ShouldBe("Colour");
        created["type"].GetValue<string>().ShouldBe("multivariate");
        created["enabled"].GetValue<bool>().ShouldBeFalse();
        created["initial_value"]["name"]!.GetValue<string>().ShouldBe("blau 🟦");
        var options = created["multivariate_options"].AsArray();
        options.Select(option => option!["key"]!.GetValue<string>()).ShouldBe(["b", "a"]);
        options[0]!["id"]!.GetValue<long>().ShouldBeLessThan(options[1]!["id"]!.GetValue<long>());
        options[0]!["default_percentage_allocation"]!.GetValue<decimal>().ShouldBe(12.5m);
        options[1]!["default_percentage_allocation"]!.GetValue<decimal>().ShouldBe(0);
        (await given.Admin.Get(created.Headers.Location!.ToString())).Must(200).Text.ShouldBe(created.Text);
        (await given.Audit("feature", created.Id)).ShouldBe(["feature.created"]);
    }

    [Fact]
    public async Task Without_options_it_is_a_standard_feature_with_no_value()
    {
        var given = await Given.AnEnvironment(service);

        var created = (await given.Admin.Post(given.Features, new { name = "plain" })).Must(201);

        created["type"].GetValue<string>().ShouldBe("standard");
        created.Json!["initial_value"].ShouldBeNull();
        created["multivariate_options"].AsArray().ShouldBeEmpty();
    }

    [Theory]
    [InlineData("""{}""", "name")]
    [InlineData("""{"name": "x", "initial": 1}""", "initial")]
    [InlineData("""{"name": "x", "enabled": "yes"}""", "enabled")]
    [InlineData("""{"name": "x", "multivariate_options": [{"key": "Control", "value": 1}]}""", "multivariate_options[0].key")]
    [InlineData(
        """{"name": "x", "multivariate_options": [{"key": "a b", "value": 1}, {"value": 2}]}""",
        "multivariate_options[0].key",
        "multivariate_options[1].key"
    )]
    [InlineData(
        """{"name": "x", "multivariate_options": [{"key": "a", "value": 1}, {"key": "a", "value": 2}]}""",
        "multivariate_options[1].key"
    )]
    [InlineData(
        """{"name": "x", "multivariate_options": [{"key": "a"}, {"key": "b", "value": null}]}""",
        "multivariate_options[0].value",
        "multivariate_options[1].value"
    )]
    [InlineData(
        """{"name": "x", "multivariate_options": [{"key": "a", "value": 1, "default_percentage_allocation": 60}, {"key": "b","""
            + """ "value": 1, "default_percentage_allocation": 41}]}""",
        "multivariate_options"
    )]
    [InlineData(
        """{"name": "x", "multivariate_options": [{"key": "a", "value": 1, "default_percentage_allocation": -1}]}""",
        "multivariate_options[0].default_percentage_allocation"
    )]
    [InlineData("""{"name": "x", "multivariate_options": [{"key": "a", "value": 1, "id": 7}]}""", "multivariate_options[0].id")]
    [InlineData("""{"name": "x", "multivariate_options": "a"}""", "multivariate_options")]
    [InlineData("""{"name": "x", "initial_value": "a\u0000b"}""", "initial_value")]
    public async Task What_breaks_a_rule_is_named_and_nothing_is_written(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.PostText(given.Features, body)).MustName(fields);

        (await given.Admin.Get(given.Features))["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task There_may_be_ten_options_and_not_eleven()
    {
        var given = await Given.AnEnvironment(service);
        object Body(int count) =>
            new
            {
                name = $"many-{count}",
                multivariate_options = Enumerable.Range(0, count).Select(number => new { key = $"o{number}", value = number }),
            };

        (await given.Admin.Post(given.Features, Body(11))).MustName("multivariate_options");
        (await given.Admin.Post(given.Features, Body(10))).Must(201);
    }

    [Fact]
    public async Task Names_are_unique_in_a_project_whatever_their_case_and_free_after_deletion()
    {
        var given = await Given.AnEnvironment(service);
        var stranger = await given.Stranger();
        var first = (await given.Admin.Post(given.Features, new { name = "Flag" })).Must(201);

        (await given.Admin.Post(given.Features, new { name = "flag" })).MustBe(409, "feature.name_taken");
        (await given.Admin.Post(stranger.Features, new { name = "flag" })).Must(201);
        (await given.Admin.Delete($"{given.Features}{first.Id}/")).Must(204);
        var second = (await given.Admin.Post(given.Features, new { name = "flag" })).Must(201);
        var other = (await given.Admin.Post(given.Features, new { name = "other" })).Must(201);
        (await given.Admin.Patch($"{given.Features}{other.Id}/", new { name = "FLAG" })).MustBe(409, "feature.name_taken");
        (await given.Admin.Patch($"{given.Features}{second.Id}/", new { name = "FLAG" })).Must(200);
    }

    [Fact]
    public async Task Of_those_that_take_a_name_at_once_one_gets_it()
    {
        var given = await Given.AnEnvironment(service);
        for (var round = 0; round < 10; round++)
        {
            var ids = new[] { (await given.AFeature()).Id, (await given.AFeature()).Id, (await given.AFeature()).Id };

            var replies = await Task.WhenAll(
                ids.Select(id => given.Admin.Patch($"{given.Features}{id}/", new { name = $"same {round}" }))
                    .Append(given.Admin.Post(given.Features, new { name = $"same {round}" }))
            );

            replies.Count(reply => reply.Code is 200 or 201).ShouldBe(1);
            replies.Count(reply => reply.Problem == "feature.name_taken").ShouldBe(3);
        }
    }

    [Theory]
    [InlineData("1e-20000")]
    [InlineData("1e-16383")]
    [InlineData("1e300")]
    [InlineData("-1e65")]
    public async Task Numbers_that_would_fill_pages_are_refused(string number)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.PostText(given.Features, $$"""{"name": "x", "initial_value": [{{number}}]}""")).MustName("initial_value[0]");
        (
            await given.Admin.PostText(given.Features, $$"""{"name": "x", "multivariate_options": [{"key": "a", "value": {{number}}}]}""")
        ).MustName("multivariate_options[0].value");
        (
            await given.Admin.PostText(given.Features, """{"name": "x", "initial_value": [0, -0.0, 0e99, 1e-60, 12345678901234567890]}""")
        ).Must(201);
    }

    [Fact]
    public async Task Options_are_replaced_whole_and_those_that_stay_keep_their_id_and_place()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature("a", "b");

        var patched = (
            await given.Admin.Patch(
                $"{given.Features}{feature.Id}/",
                new { multivariate_options = new object[] { new { key = "c", value = 3 }, new { key = "b", value = "new" } } }
            )
        ).Must(200);

        var options = patched["multivariate_options"].AsArray();
        options.Select(option => option!["key"]!.GetValue<string>()).ShouldBe(["b", "c"]);
        options[0]!["id"]!.GetValue<long>().ShouldBe(feature["multivariate_options"][1]!["id"]!.GetValue<long>());
        options[0]!["value"]!.GetValue<string>().ShouldBe("new");
        (await given.Audit("feature", feature.Id)).ShouldBe(["feature.created", "feature.updated"]);
    }

    [Fact]
    public async Task Null_empties_the_value_and_refuses_everything_else()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();

        (
            await given.Admin.Patch($"{given.Features}{feature.Id}/", """{"name": null, "enabled": null, "multivariate_options": null}""")
        ).MustName("name", "enabled", "multivariate_options");
        (await given.Admin.Patch($"{given.Features}{feature.Id}/", """{"initial_value": null}"""))
            .Must(200)
            .Json!["initial_value"]
            .ShouldBeNull();
    }

    [Fact]
    public async Task A_draft_follows_its_feature()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment("a");
        var feature = $"{given.Features}{experiment["feature"]["id"]}/";

        (
            await given.Admin.Patch(feature, new { initial_value = "red", multivariate_options = new[] { new { key = "a", value = "x" } } })
        ).Must(200);
        var sameKeys = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
        (
            await given.Admin.Patch(
                feature,
                new { multivariate_options = new[] { new { key = "a", value = "x" }, new { key = "b", value = "y" } } }
            )
        ).Must(200);
        var otherKeys = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);

        sameKeys["variants"]
            .ToJsonString()
            .ShouldBe("""[{"key":"control","value":"red","weight":50},{"key":"a","value":"x","weight":50}]""");
        sameKeys.ETag.ShouldNotBe(experiment.ETag);
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.updated", "experiment.updated"]);
        otherKeys["variants"].AsArray().Select(variant => variant!["weight"]!.GetValue<decimal>()).ShouldBe([33.34m, 33.33m, 33.33m]);
        (await given.Admin.Patch(feature, """{"multivariate_options": []}""")).MustBe(409, "feature.in_use");
    }

    [Theory]
    [InlineData("running")]
    [InlineData("paused")]
    public async Task A_started_experiment_locks_everything_but_the_switch(string status)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs(status);
        var feature = $"{given.Features}{experiment["feature"]["id"]}/";
        var before = await given.Admin.Get(feature);

        (await given.Admin.Patch(feature, new { name = "other" })).MustBe(409, "feature.locked");
        (await given.Admin.Patch(feature, new { initial_value = "other" })).MustBe(409, "feature.locked");
        (await given.Admin.Patch(feature, """{"multivariate_options": []}""")).MustBe(409, "feature.locked");
        (await given.Admin.Delete(feature)).MustBe(409, "feature.in_use");
        (await given.Admin.Get(feature)).Text.ShouldBe(before.Text);

        (await given.Admin.Patch(feature, new { enabled = false })).Must(200)["enabled"].GetValue<bool>().ShouldBeFalse();
    }

    [Fact]
    public async Task A_completed_experiment_lets_its_feature_go_and_stays_as_it_was()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("completed");
        var feature = $"{given.Features}{experiment["feature"]["id"]}/";

        (await given.Admin.Patch(feature, """{"multivariate_options": []}""")).Must(200);
        (await given.Admin.Delete(feature)).Must(204);

        var kept = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
        kept["variants"].ToJsonString().ShouldBe(experiment["variants"].ToJsonString());
        (await given.Admin.Get(feature)).MustBe(404, "feature.not_found");
        (await given.Admin.Delete(feature)).MustBe(404, "feature.not_found");
    }

    [Fact]
    public async Task Deleting_a_feature_and_creating_an_experiment_on_it_at_once_never_both_succeed()
    {
        var given = await Given.AnEnvironment(service);
        for (var round = 0; round < 20; round++)
        {
            var feature = (await given.AFeature()).Id;

            var replies = await Task.WhenAll(
                given.Admin.Delete($"{given.Features}{feature}/"),
                given.Admin.Post(
                    given.Experiments,
                    new
                    {
                        name = "n",
                        hypothesis = "h",
                        feature,
                    }
                )
            );

            var (deleted, created) = (replies[0].Code == 204, replies[1].Code == 201);
            (deleted ^ created).ShouldBeTrue($"{replies[0]} {replies[1]}");
        }
    }

    [Fact]
    public async Task Starting_an_experiment_and_changing_its_options_at_once_never_contradict_each_other()
    {
        var given = await Given.AnEnvironment(service);
        for (var round = 0; round < 20; round++)
        {
            var experiment = await given.AnExperiment("a");
            var feature = $"{given.Features}{experiment["feature"]["id"]}/";

            var replies = await Task.WhenAll(
                given.Act(experiment.Id, "start"),
                given.Admin.Patch(feature, new { multivariate_options = new[] { new { key = "b", value = "y" } } })
            );

            replies[0].Must(200);
            replies[1].Code.ShouldBeOneOf(200, 409);
            var now = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
            now["variants"][1]!["key"]!.GetValue<string>().ShouldBe(now["feature"]["multivariate_options"]![0]!["key"]!.GetValue<string>());
        }
    }

    [Fact]
    public async Task Features_are_listed_newest_first_and_found_by_name()
    {
        var given = await Given.AnEnvironment(service);
        foreach (var name in new[] { "alpha", "beta_1", "BETA%2" })
        {
            (await given.Admin.Post(given.Features, new { name })).Must(201);
        }

        Names(await given.Admin.Get(given.Features)).ShouldBe(["BETA%2", "beta_1", "alpha"]);
        Names(await given.Admin.Get($"{given.Features}?q=beta")).ShouldBe(["BETA%2", "beta_1"]);
        Names(await given.Admin.Get($"{given.Features}?q=%25")).ShouldBe(["BETA%2"]);
        Names(await given.Admin.Get($"{given.Features}?page=2&page_size=2")).ShouldBe(["alpha"]);
        (await given.Admin.Get($"{given.Features}?page=3&page_size=2")).MustBe(404, "page.not_found");

        static IEnumerable<string> Names(Reply list) =>
            list.Must(200)["results"].AsArray().Select(item => item!["name"]!.GetValue<string>());
    }
}
