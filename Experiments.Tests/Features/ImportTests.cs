using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Features;

public class ImportTests(SharedService service, TestCluster cluster) : IClassFixture<SharedService>
{
    // As Flagsmith hands it out, with much that makes no feature.
    private const string Document = """
        {"id": 1, "api_key": "B62qaMZNwfiqT76p38ggrQ", "name": "Test Environment", "updated_at": "2023-07-14T16:12:00.000000",
         "project": {"id": 1, "name": "Test project", "organisation": {"id": 1, "name": "Test Org"}, "hide_disabled_flags": false,
             "segments": [{"id": 1, "name": "Test Segment", "feature_states": [], "rules": []}]},
         "identity_overrides": [], "segment_overrides": [],
         "feature_states": [
            {"enabled": true, "django_id": 1, "featurestate_uuid": "b", "feature_segment": null, "feature_state_value": "blue",
                "feature": {"id": 7, "name": "button_colour", "type": "MULTIVARIATE"},
             "multivariate_feature_state_values": [
                {"id": 3, "mv_fs_value_uuid": "x", "percentage_allocation": 30.0,
                    "multivariate_feature_option": {"id": 9, "value": "green"}},
                {"id": 4, "mv_fs_value_uuid": "y", "percentage_allocation": 20.5,
                    "multivariate_feature_option": {"id": 8, "key": "red", "value": {"rgb": [255, 0, 0]}}}]},
            {"enabled": false, "feature_state_value": 5, "feature": {"id": 8, "name": "  page_size ", "type": "STANDARD"},
                "multivariate_feature_state_values": []},
            {"enabled": true, "feature_state_value": null, "feature": {"id": 9, "name": "dark_mode", "type": "STANDARD"}},
            {"feature": {"id": 10, "name": "bare"}}]}
        """;

    private const string Kept = """
        SELECT COALESCE(string_agg(concat_ws(' ', f.id, f.version, f.name, f.enabled, f.initial_value, f.multivariate_options,
            f.deleted_at), E'\n' ORDER BY f.id), '')
               || (SELECT count(*) FROM audit_log a WHERE a.environment_id = (SELECT id FROM environments WHERE key = @Key))
        FROM environment_features f JOIN environments e ON e.id = f.environment_id WHERE e.key = @Key
        """;

    [Fact]
    public async Task A_document_becomes_features_and_a_second_time_changes_nothing()
    {
        var given = await Given.AnEnvironment(service);

        (await Import(given, Document))
            .Must(200)
            .Text.ShouldBe(Report(["button_colour", "page_size", "dark_mode", "bare"], [], [], ["button_colour"]));

        var features = (await given.Admin.Get(given.Features))
            .Must(200)["results"]
            .AsArray()
            .ToDictionary(feature => feature!["name"]!.GetValue<string>(), feature => feature!);
        features.Count.ShouldBe(4);
        var colour = features["button_colour"];
        colour["enabled"]!.GetValue<bool>().ShouldBeTrue();
        colour["type"]!.GetValue<string>().ShouldBe("multivariate");
        colour["initial_value"]!.GetValue<string>().ShouldBe("blue");
        var options = colour["multivariate_options"]!.AsArray();
        options
            .Select(option =>
                (
                    option!["key"]!.GetValue<string>(),
                    option["value"]!.ToJsonString(),
                    option["default_percentage_allocation"]!.GetValue<decimal>()
                )
            )
            .ShouldBe([("option_9", "\"green\"", 30m), ("red", """{"rgb":[255,0,0]}""", 20.5m)]);
        (
            features["page_size"]["enabled"]!.GetValue<bool>(),
            features["page_size"]["type"]!.GetValue<string>(),
            features["page_size"]["initial_value"]!.GetValue<int>()
        ).ShouldBe((false, "standard", 5));
        features["dark_mode"]["enabled"]!.GetValue<bool>().ShouldBeTrue();
        features["dark_mode"]["initial_value"].ShouldBeNull();
        features["bare"]["enabled"]!.GetValue<bool>().ShouldBeFalse();
        (await given.Audit("feature", colour["id"]!.GetValue<long>())).ShouldBe(["feature.created"]);
        await given.Served(4);

        var kept = await Snapshot(given);
        (await Import(given, Document)).Must(200).Text.ShouldBe(Report([], [], ["button_colour", "page_size", "dark_mode", "bare"]));
        (await Snapshot(given)).ShouldBe(kept);
    }

    [Fact]
    public async Task Percentages_are_served_as_they_were_and_overrides_are_named()
    {
        var given = await Given.AnEnvironment(service);
        const string Served = """
            {"feature_states": [
                {"enabled": true, "feature_state_value": "blue", "feature": {"id": 7, "name": "banner", "type": "MULTIVARIATE"},
                 "multivariate_feature_state_values": [
                    {"percentage_allocation": 100, "multivariate_feature_option": {"id": 9, "key": "red", "value": "red"}}]},
                {"enabled": true, "feature_state_value": "own", "feature": {"id": 8, "name": "split", "type": "MULTIVARIATE"},
                 "multivariate_feature_state_values": [
                    {"percentage_allocation": 25, "multivariate_feature_option": {"id": 10, "key": "a", "value": 1}},
                    {"percentage_allocation": 25, "multivariate_feature_option": {"id": 11, "key": "b", "value": {"x": 2}}}]}],
             "identity_overrides": [{"identifier": "vip", "identity_features": [
                {"enabled": true, "feature_state_value": "gold", "feature": {"id": 7, "name": "banner"}}]}],
             "project": {"segments": [{"id": 1, "name": "beta", "feature_states": [
                {"enabled": true, "feature_state_value": "x", "feature": {"id": 8, "name": "split"}}]}, {"name": "empty"}]}}
            """;

        var report = (await Import(given, Served)).Must(200);

        report["reassigned"].ToJsonString().ShouldBe("""["banner","split"]""");
        report["skipped_overrides"]
            .ToJsonString()
            .ShouldBe("""[{"feature":"banner","kind":"identity","name":"vip"},{"feature":"split","kind":"segment","name":"beta"}]""");
        await given.Served(2);
        var split = new Dictionary<string, int>();
        for (var n = 0; n < 200; n++)
        {
            var flags = (await given.Sdk.Get($"/api/v1/identities/?identifier=u{n}")).Must(200)["flags"].AsArray();
            flags[0]!["feature_state_value"]!.GetValue<string>().ShouldBe("red");
            flags[0]!["variant"]!.GetValue<string>().ShouldBe("red");
            var value = flags[1]!["feature_state_value"]!.ToJsonString();
            split[value] = split.GetValueOrDefault(value) + 1;
            (await given.Evaluate(JsonNode.Parse("""{"name": "split"}""")!, $"u{n}"))["reason"].GetValue<string>().ShouldBe("SPLIT");
        }

        split.Keys.ShouldBe(["\"own\"", "1", "\"{\\u0022x\\u0022:2}\""], ignoreOrder: true);
        split["\"own\""].ShouldBeInRange(70, 130);
        split["1"].ShouldBeInRange(28, 75);
        // Without an identity there is nobody to draw for.
        (await given.Sdk.Get("/api/v1/flags/")).Json![0]!["feature_state_value"]!.GetValue<string>().ShouldBe("blue");
    }

    [Fact]
    public async Task What_differs_is_changed_and_what_the_document_does_not_name_is_left_alone()
    {
        var given = await Given.AnEnvironment(service);
        var own = await given.AFeature();
        (await Import(given, Document)).Must(200);
        var before = (await given.Admin.Get($"{given.Features}?q=button")).Must(200)["results"][0]!;
        var changed = Changed(document =>
        {
            var states = document["feature_states"]!.AsArray();
            states[0]!["feature"]!["name"] = "BUTTON_colour";
            states[0]!["feature_state_value"] = "black";
            states[0]!["multivariate_feature_state_values"]!.AsArray().RemoveAt(0);
            states[1]!["enabled"] = true;
            states.RemoveAt(2);
        });

        (await Import(given, changed)).Must(200).Text.ShouldBe(Report([], ["BUTTON_colour", "page_size"], ["bare"]));

        var after = (await given.Admin.Get($"{given.Features}{before["id"]}/")).Must(200);
        after["name"].GetValue<string>().ShouldBe("button_colour");
        after["initial_value"].GetValue<string>().ShouldBe("black");
        var option = after["multivariate_options"].AsArray().ShouldHaveSingleItem()!;
        option["id"]!.GetValue<long>().ShouldBe(before["multivariate_options"]![1]!["id"]!.GetValue<long>());
        (await given.Audit("feature", after.Id)).ShouldBe(["feature.created", "feature.updated"]);
        (await given.Admin.Get($"{given.Features}{own.Id}/")).Text.ShouldBe(own.Text);
        (await given.Admin.Get(given.Features)).Must(200)["count"].GetValue<int>().ShouldBe(5);
    }

    [Theory]
    [InlineData("start")]
    [InlineData("start,pause")]
    public async Task What_an_experiment_that_has_started_stands_on_refuses_it_all(string actions)
    {
        var given = await Given.AnEnvironment(service);
        (await Import(given, Document)).Must(200);
        var experiment = await OnColour(given);
        foreach (var action in actions.Split(','))
        {
            (await given.Act(experiment.Id, action)).Must(200);
        }

        var kept = await Snapshot(given);

        var refused = (
            await Import(
                given,
                Changed(document =>
                {
                    var states = document["feature_states"]!.AsArray();
                    states[0]!["feature_state_value"] = "black";
                    states[1]!["feature_state_value"] = 6;
                    states.Add(JsonNode.Parse("""{"feature": {"name": "another"}}"""));
                })
            )
        ).MustBe(409, "import.refused");

        refused["detail"].GetValue<string>().ShouldContain("button_colour (in ");
        refused["detail"].GetValue<string>().ShouldNotContain("page_size");
        (await Snapshot(given)).ShouldBe(kept);
        // The switch may change, as it may by hand; and once the experiment is over, everything.
        (await Import(given, Changed(document => document["feature_states"]![0]!["enabled"] = false)))
            .Must(200)["updated"]
            .ToJsonString()
            .ShouldBe("""["button_colour"]""");
        (await given.Act(experiment.Id, "complete")).Must(200);
        (await Import(given, Changed(document => document["feature_states"]![0]!["feature_state_value"] = "black")))
            .Must(200)["updated"]
            .ToJsonString()
            .ShouldBe("""["button_colour"]""");
    }

    [Fact]
    public async Task A_draft_follows_its_feature_as_it_does_by_hand_but_needs_some_option()
    {
        var given = await Given.AnEnvironment(service);
        (await Import(given, Document)).Must(200);
        var experiment = await OnColour(given);

        (
            await Import(given, Changed(document => document["feature_states"]![0]!["multivariate_feature_state_values"] = new JsonArray()))
        ).MustBe(409, "import.refused");
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(experiment.Text);

        (
            await Import(
                given,
                Changed(document =>
                {
                    document["feature_states"]![0]!["feature_state_value"] = "black";
                    document["feature_states"]![0]!["multivariate_feature_state_values"]!.AsArray().RemoveAt(1);
                })
            )
        ).Must(200);
        var followed = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
        followed["variants"]
            .ToJsonString()
            .ShouldBe("""[{"key":"control","value":"black","weight":50},{"key":"option_9","value":"green","weight":50}]""");
        followed.ETag.ShouldNotBe(experiment.ETag);
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.updated"]);
    }

    [Theory]
    [InlineData("""{}""", "feature_states")]
    [InlineData("""{"feature_states": null}""", "feature_states")]
    [InlineData("""{"feature_states": {"0": {}}}""", "feature_states")]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "good"}}, null, 5, {}, {"feature": "x"}]}""",
        "feature_states[1].feature.name",
        "feature_states[2].feature.name",
        "feature_states[3].feature.name",
        "feature_states[4].feature.name"
    )]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "good"}}, {"feature": {"name": "  "}}, {"feature": {"name": 5}}]}""",
        "feature_states[1].feature.name",
        "feature_states[2].feature.name"
    )]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "twice"}}, {"feature": {"name": "TWICE "}}]}""",
        "feature_states[1].feature.name"
    )]
    [InlineData("""{"feature_states": [{"feature": {"name": "a\u0000b"}}]}""", "feature_states[0].feature.name")]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": [{"multivariate_feature_option":"""
            + """ {"key": "a b", "value": 1}}, {"multivariate_feature_option": {"key": "Control", "value": 1}}]}]}""",
        "feature_states[0].multivariate_feature_state_values[0].multivariate_feature_option.key",
        "feature_states[0].multivariate_feature_state_values[1].multivariate_feature_option.key"
    )]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": [{"multivariate_feature_option":"""
            + """ {"id": 1, "value": 1}}, {"multivariate_feature_option": {"id": 1, "value": 2}}]}]}""",
        "feature_states[0].multivariate_feature_state_values[1].multivariate_feature_option.key"
    )]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": [{"multivariate_feature_option":"""
            + """ {"id": 1}}, {"multivariate_feature_option": {"id": 2, "value": null}}, {}]}]}""",
        "feature_states[0].multivariate_feature_state_values[0].multivariate_feature_option.value",
        "feature_states[0].multivariate_feature_state_values[1].multivariate_feature_option.value",
        "feature_states[0].multivariate_feature_state_values[2].multivariate_feature_option.value"
    )]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": [{"percentage_allocation": -1,"""
            + """ "multivariate_feature_option": {"id": 1, "value": 1}}]}]}""",
        "feature_states[0].multivariate_feature_state_values[0].percentage_allocation"
    )]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": [{"percentage_allocation": 60,"""
            + """ "multivariate_feature_option": {"id": 1, "value": 1}}, {"percentage_allocation": 40.5, "multivariate_feature_option":"""
            + """ {"id": 2, "value": 1}}]}]}""",
        "feature_states[0].multivariate_feature_state_values"
    )]
    public async Task What_is_wrong_with_a_document_is_named_by_its_path_and_nothing_is_written(string document, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await Import(given, document)).MustName(fields);

        (await Snapshot(given)).ShouldBe(await Snapshot(await given.Sibling()));
    }

    [Theory]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": [{"percentage_allocation": "50","""
            + """ "multivariate_feature_option": {"id": 1, "value": 1}}]}]}""",
        "feature_states[0].multivariate_feature_state_values[0].percentage_allocation"
    )]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": [{"percentage_allocation": 1e30,"""
            + """ "multivariate_feature_option": {"id": 1, "value": 1}}]}]}""",
        "feature_states[0].multivariate_feature_state_values[0].percentage_allocation"
    )]
    [InlineData("""{"feature_states": [{"feature": {"name": "x"}, "enabled": "true"}]}""", "feature_states[0].enabled")]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": {"a": 1}}]}""",
        "feature_states[0].multivariate_feature_state_values"
    )]
    [InlineData(
        """{"feature_states": [{"feature": {"name": "x"}, "multivariate_feature_state_values": [{"multivariate_feature_option":"""
            + """ {"key": 5, "value": 1}}]}]}""",
        "feature_states[0].multivariate_feature_state_values[0].multivariate_feature_option.key"
    )]
    public async Task What_cannot_be_understood_is_not_taken_for_something_else(string document, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await Import(given, document)).MustName(fields);

        (await Snapshot(given)).ShouldBe(await Snapshot(await given.Sibling()));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{not json")]
    [InlineData("")]
    [InlineData("null")]
    public async Task What_is_no_document_at_all_cannot_be_read(string text)
    {
        var given = await Given.AnEnvironment(service);

        (await Import(given, text)).MustBe(400, "request.malformed");
    }

    [Fact]
    public async Task Limits_are_those_of_features_that_are_made_by_hand()
    {
        var given = await Given.AnEnvironment(service);
        var emoji = string.Concat(Enumerable.Repeat("🧪", 255));
        string Named(string name) =>
            new JsonObject
            {
                ["feature_states"] = new JsonArray(new JsonObject { ["feature"] = new JsonObject { ["name"] = name } }),
            }.ToJsonString();
        string Valued(int length) =>
            new JsonObject
            {
                ["feature_states"] = new JsonArray(
                    new JsonObject
                    {
                        ["feature"] = new JsonObject { ["name"] = "long" },
                        ["feature_state_value"] = new string('x', length),
                    }
                ),
            }.ToJsonString();
        string Many(int options) =>
            new JsonObject
            {
                ["feature_states"] = new JsonArray(
                    new JsonObject
                    {
                        ["feature"] = new JsonObject { ["name"] = "many" },
                        ["multivariate_feature_state_values"] = new JsonArray([
                            .. Enumerable
                                .Range(1, options)
                                .Select(n => new JsonObject
                                {
                                    ["multivariate_feature_option"] = new JsonObject { ["id"] = n, ["value"] = n },
                                }),
                        ]),
                    }
                ),
            }.ToJsonString();

        (await Import(given, Many(11))).MustName("feature_states[0].multivariate_feature_state_values");
        (await Import(given, Many(10))).Must(200);
        (await Import(given, Valued(19_999))).MustName("feature_states[0].feature_state_value");
        (await Import(given, Valued(19_998))).Must(200);
        (await Import(given, Named(emoji + "x"))).MustName("feature_states[0].feature.name");
        (await Import(given, Named(emoji))).Must(200)["created"].ToJsonString().ShouldBe(new JsonArray(emoji).ToJsonString());
    }

    [Fact]
    public async Task Names_that_the_database_takes_for_one_are_not_given_twice()
    {
        var given = await Given.AnEnvironment(service);

        // The Kelvin sign becomes a k in lower case, but a k does not become a Kelvin sign in upper case.
        (await Import(given, """{"feature_states": [{"feature": {"name": "kelvin"}}, {"feature": {"name": "\u212Aelvin"}}]}""")).MustName(
            "feature_states[1].feature.name"
        );

        (await given.Admin.Get(given.Features)).Must(200)["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task Of_six_imports_at_once_one_makes_the_features_and_the_others_find_them()
    {
        var given = await Given.AnEnvironment(service);
        // Many, so that one has not yet finished when the next begins.
        var document = Changed(document =>
            document["feature_states"] = new JsonArray([
                .. Enumerable
                    .Range(0, 400)
                    .Select(n => new JsonObject
                    {
                        ["enabled"] = true,
                        ["feature"] = new JsonObject { ["name"] = $"feature-{n}" },
                    }),
            ])
        );

        var replies = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Import(given, document)));

        replies.ShouldAllBe(reply => reply.Code == 200);
        replies.Count(reply => reply["created"].AsArray().Count == 400).ShouldBe(1);
        replies.Count(reply => reply["unchanged"].AsArray().Count == 400).ShouldBe(5);
        (
            await service.Query<long>(
                "SELECT count(*) FROM environment_features f JOIN environments e ON e.id = f.environment_id WHERE e.key = @Key",
                new { given.Key }
            )
        ).ShouldBe(400);
        (
            await service.Query<long>(
                "SELECT count(*) FROM audit_log a JOIN environments e ON e.id = a.environment_id WHERE e.key = @Key AND object_type "
                    + "= 'feature'",
                new { given.Key }
            )
        ).ShouldBe(400);
    }

    [Fact]
    public async Task An_import_sets_what_its_own_environment_serves_and_leaves_what_was_deleted()
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        (await Import(theirs, Document)).Must(200);
        var kept = await Snapshot(theirs);

        // The features are there already, but switched off and without the percentages.
        (await Import(ours, Changed(document => document["feature_states"]![1]!["feature_state_value"] = 6)))
            .Must(200)
            .Text.ShouldBe(Report([], ["button_colour", "page_size", "dark_mode"], ["bare"], ["button_colour"]));
        (await Snapshot(theirs)).ShouldBe(kept);
        (await service.AsUser("stranger").PostText($"{theirs.Features}import/", Document)).MustBe(403, "access.denied");
        (await Snapshot(theirs)).ShouldBe(kept);

        var gone = (await ours.Admin.Get($"{ours.Features}?q=bare")).Must(200)["results"][0]!["id"]!.GetValue<long>();
        (await ours.Admin.Delete($"{ours.Features}{gone}/")).Must(204);
        (await Import(ours, Document)).Must(200).Text.ShouldBe(Report(["bare"], ["page_size"], ["button_colour", "dark_mode"]));
        (await theirs.Admin.Get(theirs.Features)).Must(200)["count"].GetValue<int>().ShouldBe(4);
        (await service.Query<bool>("SELECT deleted_at IS NOT NULL FROM features WHERE id = @gone", new { gone })).ShouldBeTrue();
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task The_command_imports_a_file_into_the_environment_that_it_is_told()
    {
        var given = await Given.AnEnvironment(service);
        await given.Sibling();
        var file = Path.Combine(Path.GetTempPath(), $"flagsmith-{Guid.NewGuid():N}.json");
        try
        {
            await File.WriteAllTextAsync(file, Document);
            var (several, first, second, nowhere) = (
                await Run(file),
                await Run(file, "--environment", given.Key),
                await Run(file, "--environment", given.Key),
                await Run(file, "--environment", "nowhere")
            );

            several.ShouldBe((1, "", "There are several environments. Say which with --environment <key>.\n"));
            first.ShouldBe(
                (
                    0,
                    "created 4, updated 0, unchanged 0\n  created: button_colour\n  created: page_size\n  created: dark_mode\n  "
                        + "created: bare\n  same shares, but who gets which option changes once: button_colour\n",
                    ""
                )
            );
            second.ShouldBe((0, "created 0, updated 0, unchanged 4\n", ""));
            nowhere.Code.ShouldBe(1);
            nowhere.Error.ShouldContain("no such environment");
            var kept = await Snapshot(given);

            await File.WriteAllTextAsync(file, """{"feature_states": [{"feature": {"name": "good"}}, {"feature": {"name": ""}}]}""");
            var wrong = await Run(file, "--environment", given.Key);
            (wrong.Code, wrong.Output).ShouldBe((1, ""));
            wrong.Error.ShouldContain("feature_states[1].feature.name");
            await File.WriteAllTextAsync(file, "{not json");
            (await Run(file, "--environment", given.Key)).Error.ShouldContain("not JSON");
            (await Run(file + ".none", "--environment", given.Key)).Code.ShouldBe(1);
            (await Snapshot(given)).ShouldBe(kept);
            (
                await service.Query<string>(
                    "SELECT string_agg(DISTINCT a.actor, ',') FROM audit_log a JOIN environments e ON e.id = a.environment_id WHERE "
                        + "e.key = @Key AND object_type = 'feature'",
                    new { given.Key }
                )
            ).ShouldBe("command line");
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task The_command_takes_the_only_environment_where_there_is_one()
    {
        var database = await cluster.NewDatabase();
        var file = Path.Combine(Path.GetTempPath(), $"flagsmith-{Guid.NewGuid():N}.json");
        try
        {
            await File.WriteAllTextAsync(file, Document);
            (await RunOn(database, file)).Error.ShouldContain("no such environment");

            var app = await TestService.Start(database);
            var admin = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");
            var project = (await admin.Post("/api/v1/projects/", new { name = "shop", organisation = "acme" })).Must(201);
            var environment = (await admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "production" })).Must(201);
            (await RunOn(database, file)).Code.ShouldBe(0);

            (await admin.Get($"/api/v1/environments/{environment["key"]}/features/")).Must(200)["count"].GetValue<int>().ShouldBe(4);
            await app.StopAsync();
            await app.DisposeAsync();
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static string Report(string[] created, string[] updated, string[] unchanged, params string[] reassigned) =>
        System.Text.Json.JsonSerializer.Serialize(
            new
            {
                created,
                updated,
                unchanged,
                reassigned,
                skipped_overrides = Array.Empty<string>(),
            }
        );

    private static string Changed(Action<JsonNode> change)
    {
        var document = JsonNode.Parse(Document)!;
        change(document);
        return document.ToJsonString();
    }

    private static Task<Reply> Import(Given given, string document) => given.Admin.PostText($"{given.Features}import/", document);

    private static async Task<Reply> OnColour(Given given)
    {
        var feature = (await given.Admin.Get($"{given.Features}?q=button_colour")).Must(200)["results"][0]!["id"]!.GetValue<long>();
        return await given.AnExperimentOn(feature);
    }

    private Task<(int Code, string Output, string Error)> Run(string file, params string[] more) =>
        RunOn(service.ConnectionString, file, more);

    private static async Task<(int Code, string Output, string Error)> RunOn(string database, string file, params string[] more)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(Api.Platform.Problem).Assembly.Location, "import", "flagsmith", file, .. more])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ConnectionStrings__Experiments"] = database;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }

    private Task<string> Snapshot(Given given) => service.Query<string>(Kept, new { given.Key });
}
