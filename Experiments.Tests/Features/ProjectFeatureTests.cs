using System.Text.Json.Nodes;

namespace Experiments.Tests.Features;

/// <summary>A feature belongs to a project. What it serves is the business of each environment.</summary>
public class ProjectFeatureTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_feature_made_in_one_environment_is_in_all_of_the_project_and_disabled_elsewhere()
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var stranger = await Given.AnEnvironment(service);

        var made = (
            await production.Admin.Post(
                production.Features,
                new
                {
                    name = "button",
                    description = "The one that buys.",
                    enabled = true,
                    initial_value = "blue",
                    multivariate_options = new[] { Option("green", "green", 30) },
                }
            )
        ).Must(201);

        var here = (await production.Admin.Get($"{production.Features}{made.Id}/")).Must(200);
        var there = (await staging.Admin.Get($"{staging.Features}{made.Id}/")).Must(200);
        here["enabled"].GetValue<bool>().ShouldBeTrue();
        there["enabled"].GetValue<bool>().ShouldBeFalse();
        foreach (var shown in new[] { here, there })
        {
            shown["name"].GetValue<string>().ShouldBe("button");
            shown["description"].GetValue<string>().ShouldBe("The one that buys.");
            shown["initial_value"].GetValue<string>().ShouldBe("blue");
            shown["multivariate_options"][0]!["id"]!.GetValue<long>().ShouldBe(Green(made)["id"]!.GetValue<long>());
        }

        Green(here)["default_percentage_allocation"]!.GetValue<int>().ShouldBe(30);
        Green(there)["default_percentage_allocation"]!.GetValue<int>().ShouldBe(0);
        (await stranger.Admin.Get($"{stranger.Features}{made.Id}/")).MustBe(404, "feature.not_found");
        (await stranger.Admin.Get(stranger.Features)).Must(200)["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task A_change_of_what_it_is_holds_everywhere_and_of_what_it_serves_only_here()
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var feature = await production.AFeature("green");
        (await staging.Sdk.Get("/api/v1/flags/")).Must(200);

        (
            await production.Admin.Patch(
                $"{production.Features}{feature.Id}/",
                new
                {
                    name = "renamed",
                    enabled = true,
                    initial_value = "grey",
                    multivariate_options = new[] { Option("green", "lime", 10), Option("red", "red", 20) },
                }
            )
        ).Must(200);

        var there = (await staging.Admin.Get($"{staging.Features}{feature.Id}/")).Must(200);
        there["name"].GetValue<string>().ShouldBe("renamed");
        there["enabled"].GetValue<bool>().ShouldBeFalse();
        there["initial_value"].GetValue<string>().ShouldBe("blue");
        there["multivariate_options"]
            .AsArray()
            .Select(option => $"{option!["key"]} {option["value"]} {option["default_percentage_allocation"]}")
            .ShouldBe(["green lime 0", "red red 0"]);
        // Applications there are told of it, too.
        await staging.Served(flag => flag["feature"]!["name"]!.GetValue<string>() == "renamed", TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Options_stay_as_they_are_while_an_experiment_has_started_in_any_environment_and_drafts_follow()
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var testing = await production.Sibling();
        var feature = await production.AFeature("green");
        var draft = await Experiment(staging, feature.Id);
        var started = await Experiment(testing, feature.Id);
        (await testing.Act(started.Id, "start")).Must(200);
        var two = new[] { Option("green", "green"), Option("red", "red") };

        var locked = (await production.Admin.Patch($"{production.Features}{feature.Id}/", new { multivariate_options = two })).MustBe(
            409,
            "feature.locked"
        );
        locked["detail"].GetValue<string>().ShouldContain(await Name(testing));
        locked["detail"].GetValue<string>().ShouldNotContain(await Name(staging));
        (await production.Admin.Delete($"{production.Features}{feature.Id}/"))
            .MustBe(409, "feature.in_use")["detail"]
            .GetValue<string>()
            .ShouldContain(await Name(testing));
        (await production.Admin.Patch($"{production.Features}{feature.Id}/", new { name = "another" })).MustBe(409, "feature.locked");
        var variants = new[] { new { key = "control", weight = 50 }, new { key = "red", weight = 50 } };
        (await staging.Admin.Patch($"{staging.Experiments}{draft.Id}/", new { variants })).MustBe(409, "feature.locked");
        (await Keys(staging, draft.Id)).ShouldBe(["control", "green"]);
        // What it serves here is not of their business.
        (await production.Admin.Patch($"{production.Features}{feature.Id}/", new { initial_value = "grey", enabled = true })).Must(200);

        (await testing.Act(started.Id, "complete", new { })).Must(200);
        (await production.Admin.Patch($"{production.Features}{feature.Id}/", new { multivariate_options = two })).Must(200);

        (await Keys(staging, draft.Id)).ShouldBe(["control", "green", "red"]);
        (await Keys(testing, started.Id)).ShouldBe(["control", "green"]);
        (await staging.Audit("experiment", draft.Id)).ShouldContain("experiment.updated");
        // A draft changes the options for the drafts of others as well.
        var other = await Experiment(production, feature.Id);
        (await staging.Admin.Patch($"{staging.Experiments}{draft.Id}/", new { variants })).Must(200);
        (await Keys(production, other.Id)).ShouldBe(["control", "red"]);
    }

    [Theory]
    [InlineData("created")]
    [InlineData("paused")]
    public async Task Experiments_of_an_environment_that_is_deleted_hold_up_nobody(string status)
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var feature = await production.AFeature("green");
        var left = await Experiment(staging, feature.Id);
        if (status == "paused")
        {
            (await staging.Act(left.Id, "start")).Must(200);
            (await staging.Act(left.Id, "pause")).Must(200);
        }

        var id = await service.Query<long>("SELECT id FROM environments WHERE key = @Key", new { staging.Key });
        (await service.Admin.Delete($"/api/v1/projects/{staging.ProjectId}/environments/{id}/")).Must(204);

        var draft = await Experiment(production, feature.Id);
        var variants = new[] { new { key = "control", weight = 50 }, new { key = "red", weight = 50 } };
        (await production.Admin.Patch($"{production.Experiments}{draft.Id}/", new { variants })).Must(200);
        (await production.Admin.Delete($"{production.Experiments}{draft.Id}/")).Must(204);
        (
            await production.Admin.Patch(
                $"{production.Features}{feature.Id}/",
                new { name = "renamed", multivariate_options = new[] { Option("blue", "blue") } }
            )
        ).Must(200);
        (await production.Admin.Delete($"{production.Features}{feature.Id}/")).Must(204);
    }

    [Fact]
    public async Task The_share_of_an_option_that_is_gone_is_gone_everywhere_so_that_a_running_feature_can_be_switched_off()
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var feature = await production.AFeature("green");
        var half = new[] { Option("green", "green", 50) };
        (await staging.Admin.Patch($"{staging.Features}{feature.Id}/", new { multivariate_options = half })).Must(200);

        (
            await production.Admin.Patch(
                $"{production.Features}{feature.Id}/",
                new { multivariate_options = new[] { Option("red", "red") } }
            )
        ).Must(200);

        (
            await service.Query<string>(
                "SELECT string_agg(percentages::text, ',') FROM feature_states WHERE feature_id = @Id",
                new { feature.Id }
            )
        ).ShouldBe("{},{}");
        var running = await Experiment(staging, feature.Id);
        (await staging.Act(running.Id, "start")).Must(200);
        (await staging.Admin.Patch($"{staging.Features}{feature.Id}/", new { enabled = false })).Must(200);
    }

    [Fact]
    public async Task The_same_feature_runs_an_experiment_in_two_environments_each_with_its_own_assignment_and_numbers()
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var feature = await production.AFeature("green");
        var (here, there) = (await Experiment(production, feature.Id), await Experiment(staging, feature.Id));
        (await production.Act(here.Id, "start")).Must(200);
        (await staging.Act(there.Id, "start")).Must(200);

        await production.ExposeAndConvert(await Read(production, here.Id), 40);
        await staging.ExposeAndConvert(await Read(staging, there.Id), 10);

        (await production.Salt(here)).ShouldNotBe(await staging.Salt(there));
        await Given.Eventually(async () => Total(await production.Exposures(here)) == 40 && Total(await staging.Exposures(there)) == 10);
        // To ship here changes nothing there.
        (await production.Act(here.Id, "complete", new { ship = "green" })).Must(200);
        (await production.Admin.Get($"{production.Features}{feature.Id}/"))["initial_value"].GetValue<string>().ShouldBe("green");
        (await staging.Admin.Get($"{staging.Features}{feature.Id}/"))["initial_value"].GetValue<string>().ShouldBe("blue");
        (await Read(staging, there.Id))["status"].GetValue<string>().ShouldBe("running");
    }

    [Fact]
    public async Task An_editor_of_one_environment_changes_what_it_serves_there_and_not_what_it_is()
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var feature = await production.AFeature("green");
        var draft = await Experiment(staging, feature.Id);
        (await staging.Admin.Post($"{staging.Root}/admins/", new { subject = "eve", role = "editor" })).Must(201);
        var eve = service.AsUser("eve");
        var variants = new[] { new { key = "control", weight = 50 }, new { key = "red", weight = 50 } };
        var changes = new object[]
        {
            new { name = "mine" },
            new { description = "mine" },
            new { multivariate_options = new[] { Option("red", "red") } },
        };

        foreach (var change in changes)
        {
            (await eve.Patch($"{staging.Features}{feature.Id}/", change)).MustBe(403, "access.role");
        }

        (await eve.Delete($"{staging.Features}{(await production.AFeature()).Id}/")).MustBe(403, "access.role");
        (await eve.Patch($"{staging.Experiments}{draft.Id}/", new { variants })).MustBe(403, "access.role");
        (await eve.Patch($"{production.Features}{feature.Id}/", new { enabled = true })).MustBe(403, "access.denied");
        (await eve.Patch($"{staging.Features}{feature.Id}/", new { enabled = true, initial_value = "grey" })).Must(200);
        (await eve.Patch($"{staging.Features}{feature.Id}/", new { multivariate_options = new[] { Option("green", "green", 25) } })).Must(
            200
        );
        (await Keys(staging, draft.Id)).ShouldBe(["control", "green"]);

        (await staging.Admin.Post($"/api/v1/projects/{staging.ProjectId}/admins/", new { subject = "eve", role = "editor" })).Must(201);
        await Given.Eventually(async () => (await eve.Patch($"{staging.Features}{feature.Id}/", changes[0])).Code == 200);
        (await eve.Patch($"{staging.Experiments}{draft.Id}/", new { variants })).Must(200);
    }

    [Fact]
    public async Task A_new_environment_has_all_features_with_the_value_that_they_were_made_with()
    {
        var production = await Given.AnEnvironment(service);
        var feature = await production.AFeature("green");
        var deleted = await production.AFeature();
        (await production.Admin.Patch($"{production.Features}{feature.Id}/", new { enabled = true, initial_value = "grey" })).Must(200);
        (await production.Admin.Delete($"{production.Features}{deleted.Id}/")).Must(204);

        var later = await production.Sibling();

        var shown = (await later.Admin.Get(later.Features)).Must(200)["results"].AsArray().ShouldHaveSingleItem()!;
        shown["id"]!.GetValue<long>().ShouldBe(feature.Id);
        shown["enabled"]!.GetValue<bool>().ShouldBeFalse();
        shown["initial_value"]!.GetValue<string>().ShouldBe("blue");
    }

    [Theory]
    [InlineData("Button Colour", "button_colour")]
    [InlineData("button_colour", "BUTTON COLOUR")]
    [InlineData("a b_c", "A_B C")]
    public async Task Names_that_sdks_take_for_one_are_one(string first, string second)
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        (await production.Admin.Post(production.Features, new { name = first })).Must(201);
        var other = (await staging.Admin.Post(staging.Features, new { name = "other" })).Must(201);

        (await staging.Admin.Post(staging.Features, new { name = second })).MustBe(409, "feature.name_taken");
        (await staging.Admin.Patch($"{staging.Features}{other.Id}/", new { name = second })).MustBe(409, "feature.name_taken");
        (
            await staging.Admin.Post(
                staging.Experiments,
                new
                {
                    name = "e",
                    hypothesis = "h",
                    feature = new { name = second },
                }
            )
        ).MustBe(409, "feature.name_taken");
        (await staging.Admin.Get(staging.Features)).Must(200)["count"].GetValue<int>().ShouldBe(2);
    }

    [Fact]
    public async Task A_project_shows_each_feature_with_all_its_environments()
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var feature = await production.AFeature("green", "red");
        await production.AFeature();
        var green = new[] { Option("green", "green", 40), Option("red", "red") };
        (await production.Admin.Patch($"{production.Features}{feature.Id}/", new { enabled = true, multivariate_options = green })).Must(
            200
        );
        var experiment = await Experiment(staging, feature.Id);
        var project = $"/api/v1/projects/{production.ProjectId}/features/";

        var shown = (await service.Admin.Get($"{project}{feature.Id}/")).Must(200);
        var listed = (await service.Admin.Get(project)).Must(200);

        shown["options"].AsArray().Select(option => option!["key"]!.GetValue<string>()).ShouldBe(["green", "red"]);
        var environments = shown["environments"].AsArray();
        environments.Select(one => one!["key"]!.GetValue<string>()).ShouldBe([production.Key, staging.Key]);
        environments.Select(one => one!["enabled"]!.GetValue<bool>()).ShouldBe([true, false]);
        environments[0]!["percentages"]!.ToJsonString().ShouldBe("""{"green":40}""");
        environments[0]!["experiment"].ShouldBeNull();
        environments[1]!["experiment"]!["id"]!.GetValue<long>().ShouldBe(experiment.Id);
        listed["count"].GetValue<int>().ShouldBe(2);
        listed["results"][1]!.ToJsonString().ShouldBe(shown.Json!.ToJsonString());
        var stranger = await Given.AnEnvironment(service);
        (await service.Admin.Get($"/api/v1/projects/{stranger.ProjectId}/features/{feature.Id}/")).MustBe(404, "feature.not_found");
        (await service.AsUser("nobody").Get(project)).MustBe(403, "access.denied");
    }

    [Fact]
    public async Task Of_fifty_experiments_created_at_once_on_one_feature_in_two_environments_each_gets_one()
    {
        var production = await Given.AnEnvironment(service);
        var staging = await production.Sibling();
        var feature = await production.AFeature("green");

        var replies = await Task.WhenAll(
            Enumerable
                .Range(0, 50)
                .Select(n =>
                    (n % 2 == 0 ? production : staging).Admin.Post(
                        n % 2 == 0 ? production.Experiments : staging.Experiments,
                        new
                        {
                            name = "e",
                            hypothesis = "h",
                            feature = feature.Id,
                        }
                    )
                )
        );

        replies.Count(reply => reply.Code == 201).ShouldBe(2);
        replies.Where(reply => reply.Code != 201).ShouldAllBe(reply => reply.Code == 409);
        foreach (var environment in new[] { production, staging })
        {
            (await environment.Admin.Get(environment.Experiments)).Must(200)["count"].GetValue<int>().ShouldBe(1);
        }
    }

    [Fact]
    public async Task Features_and_environments_that_are_made_at_the_same_time_have_each_other()
    {
        var first = await Given.AnEnvironment(service);

        await Task.WhenAll(
            Enumerable
                .Range(0, 40)
                .Select(n =>
                    n % 2 == 0
                        ? first.Admin.Post(first.Features, new { name = $"f{n}" })
                        : first.Admin.Post($"/api/v1/projects/{first.ProjectId}/environments/", new { name = $"e{n}" })
                )
        );

        (
            await service.Query<string>(
                """
                SELECT concat((SELECT count(*) FROM features WHERE project_id = @ProjectId), ' ',
                    (SELECT count(*) FROM environments WHERE project_id = @ProjectId), ' ',
                    (SELECT count(*) FROM feature_states WHERE project_id = @ProjectId))
                """,
                new { first.ProjectId }
            )
        ).ShouldBe("20 21 420");
    }

    [Fact]
    public async Task An_experiment_is_copied_to_another_environment_with_the_metrics_and_the_holdout_that_have_their_names_there()
    {
        var staging = await Given.AnEnvironment(service);
        var production = await staging.Sibling();
        var (bought, revenue) = (await staging.AMetric("occurrence", "bought"), await staging.AMetric("sum", "revenue"));
        var same = await production.AMetric("occurrence", "bought");
        await production.AMetric("count", "revenue");
        var holdout = (await staging.Admin.Post($"{staging.Root}/holdouts/", new { name = "never", percentage = 5 })).Must(201);
        var counterpart = (await production.Admin.Post($"{production.Root}/holdouts/", new { name = "never", percentage = 9 })).Must(201);
        var feature = await staging.AFeature("green");
        var source = (
            await staging.Admin.Post(
                staging.Experiments,
                new
                {
                    name = "e",
                    hypothesis = "h",
                    feature = feature.Id,
                    rollout_percentage = 20,
                    holdout = holdout.Id,
                    metrics = new object[]
                    {
                        new { metric = bought.Id, role = "primary" },
                        new { metric = revenue.Id, role = "secondary" },
                    },
                }
            )
        ).Must(201);
        (await staging.Admin.Post($"{staging.Root}/admins/", new { subject = "eve", role = "editor" })).Must(201);
        (await production.Admin.Post($"{production.Root}/admins/", new { subject = "eve", role = "viewer" })).Must(201);
        var stranger = await staging.Stranger();
        var duplicate = $"{staging.Experiments}{source.Id}/duplicate/";

        (await service.AsUser("eve").Post(duplicate, new { environment = production.Key })).MustName("environment");
        (await staging.Admin.Post(duplicate, new { environment = stranger.Key })).MustName("environment");
        (await staging.Admin.Post(duplicate, new { environment = "nowhere" })).MustName("environment");
        (await staging.Admin.Post(duplicate, new { })).MustBe(409, "experiment.already_active");
        var copy = (await staging.Admin.Post(duplicate, new { environment = production.Key, name = "there" })).Must(201);
        (await staging.Admin.Post(duplicate, new { environment = production.Key })).MustBe(409, "experiment.already_active");

        copy.Headers.Location!.ToString().ShouldEndWith($"{production.Experiments}{copy.Id}/");
        var read = (await production.Admin.Get($"{production.Experiments}{copy.Id}/")).Must(200);
        read["name"].GetValue<string>().ShouldBe("there");
        read["rollout_percentage"].GetValue<int>().ShouldBe(20);
        read["feature"]["id"]!.GetValue<long>().ShouldBe(feature.Id);
        read["holdout"]["id"]!.GetValue<long>().ShouldBe(counterpart.Id);
        var metric = read["metrics"].AsArray().ShouldHaveSingleItem()!;
        metric["metric"]!.GetValue<long>().ShouldBe(same.Id);
        metric["role"]!.GetValue<string>().ShouldBe("primary");
        (await production.Audit("experiment", copy.Id)).ShouldBe(["experiment.created"]);
        (await stranger.Admin.Get(stranger.Experiments)).Must(200)["count"].GetValue<int>().ShouldBe(0);
    }

    private static object Option(string key, string value, decimal share = 0) =>
        new
        {
            key,
            value,
            default_percentage_allocation = share,
        };

    private static JsonNode Green(Reply feature) => feature["multivariate_options"][0]!;

    private static int Total(Reply exposures) => exposures["total"].GetValue<int>();

    private static async Task<Reply> Experiment(Given given, long feature) =>
        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "e",
                    hypothesis = "h",
                    feature,
                }
            )
        ).Must(201);

    private static async Task<Reply> Read(Given given, long experiment) =>
        (await given.Admin.Get($"{given.Experiments}{experiment}/")).Must(200);

    private static async Task<string[]> Keys(Given given, long experiment) =>
        [.. (await Read(given, experiment))["variants"].AsArray().Select(variant => variant!["key"]!.GetValue<string>())];

    private static Task<string> Name(Given given) =>
        given.Service.Query<string>("SELECT name FROM environments WHERE key = @Key", new { given.Key });
}
