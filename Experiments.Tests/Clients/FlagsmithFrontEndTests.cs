using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>Replays what Flagsmith's own front end sends, call by call, from signing in to reading the verdict.</summary>
public class FlagsmithFrontEndTests(SharedService service) : IClassFixture<SharedService>
{
    private const string Base = "/flagsmith/api/v1";

    [Fact]
    public async Task The_front_end_finds_its_way_to_a_verdict()
    {
        var given = await Given.AnEnvironment(service);
        var root = $"{Base}/environments/{given.Key}";
        var browser = FrontEnd();
        var feature = (
            await given.Admin.Post(
                given.Features,
                """
                {"name": "button", "initial_value": "blue", "multivariate_options": [
                    {"key": "green", "value": "green"}, {"key": "size", "value": 5}, {"key": "on", "value": true}]}
                """
            )
        ).Must(201);
        await given.AFeature();
        (await given.Admin.Post(given.Features, new { name = "plain" })).Must(201);
        await given.Send(
            new
            {
                @event = "purchase",
                identifier = "u",
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            }
        );

        // The shell.
        (await browser.Get($"{Base}/auth/users/me/"))
            .Must(200)["email"]
            .GetValue<string>()
            .ShouldNotBeEmpty();
        var organisation = (await browser.Get($"{Base}/organisations/"))
            .Must(200)["results"]
            .AsArray()
            .Single(one => one!["name"]!.GetValue<string>() == given.Organisation)!;
        (await browser.Get($"{Base}/projects/?organisation={organisation["id"]}")).Must(200).Json!.AsArray().ShouldHaveSingleItem()!["id"]!
            .GetValue<long>()
            .ShouldBe(given.ProjectId);
        (await browser.Get($"{Base}/projects/{given.ProjectId}/")).Must(200)["name"].GetValue<string>().ShouldBe(given.Project);
        var environment = (await browser.Get($"{Base}/environments/?project={given.ProjectId}"))
            .Must(200)["results"]
            .AsArray()
            .ShouldHaveSingleItem()!;
        environment["api_key"]!.GetValue<string>().ShouldBe(given.Key);

        // The wizard: is there a warehouse, which features are there, which events?
        var warehouse = (await browser.Get($"{root}/warehouse-connections/?exclude_event_stats=true")).Must(200).Json!.AsArray()[0]!;
        (warehouse["status"]!.GetValue<string>(), warehouse["warehouse_type"]!.GetValue<string>()).ShouldBe(("connected", "flagsmith"));
        (await browser.Get($"{root}/warehouse-connections/{warehouse["id"]}/")).Must(200);
        (await browser.Post($"{root}/warehouse-connections/{warehouse["id"]}/test-warehouse-connection/")).Must(200);
        await Given.Eventually(async () =>
            (await browser.Get($"{root}/warehouse-connections/{warehouse["id"]}/events/")).Must(200)["events"].ToJsonString()
            == """["purchase"]"""
        );
        var features = (
            await browser.Get(
                $"{Base}/projects/{given.ProjectId}/features/?type=MULTIVARIATE&environment={environment["id"]}&page=1&page_size=100"
                    + "&is_archived=false&sort_field=name&sort_direction=ASC&search="
            )
        )
            .Must(200)["results"]
            .AsArray();
        features.Count.ShouldBe(2);
        var picked = features.Single(one => one!["id"]!.GetValue<long>() == feature.Id)!;
        picked["type"]!.GetValue<string>().ShouldBe("MULTIVARIATE");
        var options = picked["multivariate_options"]!.AsArray();
        options
            .Select(option =>
                (
                    option!["type"]!.GetValue<string>(),
                    option["string_value"]?.GetValue<string>(),
                    option["integer_value"]?.GetValue<long>(),
                    option["boolean_value"]?.GetValue<bool>()
                )
            )
            .ShouldBe([("unicode", "green", null, null), ("int", null, 5L, null), ("bool", null, null, true)]);

        var metric = (
            await browser.Post(
                $"{root}/experiment-metrics/",
                """
                {"name": "Purchases", "description": "", "aggregation": "occurrence", "direction": "up", "unknown": 1,
                 "definition": {"version": 1, "event": "purchase"}}
                """
            )
        ).Must(201);
        metric["definition"].ToJsonString().ShouldContain("\"version\":1");
        (await browser.Patch($"{root}/experiment-metrics/{metric.Id}/", new { description = "All of them" })).Must(200);
        (await browser.Get($"{root}/experiment-metrics/?page=1&page_size=50&q=purch")).Must(200)["results"].AsArray().Count.ShouldBe(1);
        (await browser.Get($"{root}/experiment-metrics/{metric.Id}/")).Must(200)["description"].GetValue<string>().ShouldBe("All of them");

        // Create with a rollout, and start.
        string Rollout(int percentage, bool enabled, params int[] shares) =>
            $$$"""
            {"enabled": {{{(enabled ? "true" : "false")}}}, "rollout_percentage": {{{percentage}}},
             "feature_state_value": {"type": "string", "value": "blue"}, "multivariate_feature_state_values": [
                {{{string.Join(", ", shares.Select((share, n) =>
                    $$"""{"multivariate_feature_option": {{options[n]!["id"]}}, "percentage_allocation": {{share}}}"""))}}}]}
            """;
        var created = (
            await browser.Post(
                $"{root}/experiments/",
                $$"""
                {"feature": {{feature.Id}}, "name": "Green", "hypothesis": "h", "status": "created",
                 "metrics": [{"metric": {{metric.Id}}, "expected_direction": "increase"}], "experiment_rollout": {{Rollout(
                    100,
                    false,
                    50
                )}}}
                """
            )
        ).Must(201);
        created["feature"].GetValue<long>().ShouldBe(feature.Id);
        created.Headers.Location!.ToString().ShouldBe($"{root}/experiments/{created.Id}/");
        var path = $"{root}/experiments/{created.Id}/";
        var draft = (await browser.Get(path)).Must(200);
        draft["metrics"][0]!["metric_name"]!.GetValue<string>().ShouldBe("Purchases");
        draft["experiment_rollout"]["feature_state_value"]!.ToJsonString().ShouldBe("""{"type":"string","value":"blue"}""");
        draft["experiment_rollout"]["multivariate_feature_state_values"]!
            .AsArray()
            .Select(one => one!["percentage_allocation"]!.GetValue<decimal>())
            .ShouldBe([50, 0, 0]);
        draft["feature"]["multivariate_options"]![0]!["default_percentage_allocation"]!.GetValue<decimal>().ShouldBe(50);
        (await browser.Get($"{path}results/")).Must(200).Json!["results"].ShouldBeNull();
        (await browser.Get($"{path}exposures/")).Must(200).Json!["exposures"].ShouldBeNull();
        (await browser.Post($"{path}exposures/refresh/")).MustBe(409, "results.not_started");
        (await browser.Patch($"{path}rollout/", Rollout(100, false, 50))).Must(200);
        (await browser.Post($"{path}start/")).Must(200)["status"].GetValue<string>().ShouldBe("running");
        await given.Served(flag => flag["feature"]!["name"]!.GetValue<string>() != "button" || flag["enabled"]!.GetValue<bool>());

        // It counts, and says so in the form that the pages read.
        var events = new List<object>();
        for (var n = 0; n < 240; n++)
        {
            var flag = (await given.Evaluate(JsonNode.Parse("""{"name": "button"}""")!, $"u{n}")).Must(200);
            var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
            events.AddRange(
                new
                {
                    @event = "$flag_exposure",
                    feature_name = "button",
                    identifier = $"u{n}",
                    value = flag["variant"].GetValue<string>(),
                    timestamp = at,
                },
                new
                {
                    @event = n % 2 == 0 ? "purchase" : "other",
                    identifier = $"u{n}",
                    timestamp = at + 1,
                }
            );
        }

        await given.Send([.. events]);
        await given.Results(created, 240);
        var exposures = (await browser.Get($"{path}exposures/")).Must(200)["exposures"];
        exposures["payload"]!["timeseries"]!["points"]!
            .AsArray()
            .Sum(point => point!["new_identities"]!.AsObject().Sum(arm => arm.Value!.GetValue<int>()))
            .ShouldBe(240);
        exposures["is_final"]!.GetValue<bool>().ShouldBeFalse();
        (await browser.Post($"{path}exposures/refresh/")).Must(202);
        var results = (await browser.Get($"{path}results/")).Must(200)["results"]["payload"]!;
        var measured = results["metrics"]![0]!;
        measured["metric_id"]!.GetValue<long>().ShouldBe(metric.Id);
        measured["variants"]!.AsObject().Sum(arm => arm.Value!["n"]!.GetValue<int>()).ShouldBe(240);
        measured["variants"]!.AsObject().Sum(arm => arm.Value!["sum"]!.GetValue<double>()).ShouldBe(120);
        measured["inference"]!["green"]!["chance_to_win"]!.GetValue<double>().ShouldBeInRange(0.001, 0.999);
        measured["inference"]!["size"].ShouldBeNull();
        results["srm_p_value"]!.GetValue<double>().ShouldBeInRange(0, 1);
        (await browser.Post($"{path}results/refresh/")).Code.ShouldBeOneOf(202, 429);

        // The list, and what may change while it runs.
        (await browser.Patch(path, new { hypothesis = "better" }))
            .Must(200)["hypothesis"]
            .GetValue<string>()
            .ShouldBe("better");
        (await browser.Patch($"{path}rollout/", Rollout(40, true, 50))).Must(200)["experiment_rollout"]["rollout_percentage"]!
            .GetValue<decimal>()
            .ShouldBe(40);
        (await browser.Patch($"{path}rollout/", Rollout(40, true, 30))).MustBe(409, "experiment.split_frozen");
        (await browser.Patch($"{path}rollout/", Rollout(40, false, 50))).Must(200)["experiment_rollout"]["enabled"]!
            .GetValue<bool>()
            .ShouldBeFalse();
        var list = (await browser.Get($"{root}/experiments/?page=1&page_size=10&status=running&q=gre&ordering=x")).Must(200);
        list["status_counts"]["running"]!.GetValue<int>().ShouldBe(1);
        list["results"][0]!["feature"]!["type"]!.GetValue<string>().ShouldBe("MULTIVARIATE");
        var link = (await browser.Get($"{path}metrics/")).Must(200).Json![0]!["id"]!;
        (await browser.Get($"{path}metrics/{link}/")).Must(200)["expected_direction"].GetValue<string>().ShouldBe("increase");
        (await browser.Patch($"{path}metrics/{link}/", new { expected_direction = "not_decrease" })).Must(200);
        (await browser.Delete($"{root}/experiment-metrics/{metric.Id}/")).MustBe(409, "metric.in_use")["detail"].ShouldNotBeNull();
        (await browser.Post($"{path}pause/")).Must(200)["status"].GetValue<string>().ShouldBe("paused");
        (await browser.Post($"{path}complete/")).Must(200)["status"].GetValue<string>().ShouldBe("completed");
        (await browser.Delete(path)).Must(204);
        (await browser.Delete($"{root}/experiment-metrics/{metric.Id}/")).Must(204);
        (await browser.Get(path)).MustBe(404, "experiment.not_found");
    }

    [Fact]
    public async Task What_does_not_fit_is_named_and_nothing_is_written()
    {
        var given = await Given.AnEnvironment(service);
        var (feature, foreign) = (await given.AFeature(), await (await given.Stranger()).AFeature());
        var path = $"{Base}/environments/{given.Key}/experiments/";
        Task<Reply> Create(long id, string rollout) =>
            FrontEnd().Post(path, $$"""{"feature": {{id}}, "name": "n", "hypothesis": "h", "experiment_rollout": {{rollout}}}""");
        var option = feature["multivariate_options"][0]!["id"]!;

        foreach (
            var (rollout, field) in new[]
            {
                ("""{"rollout_percentage": 101}""", "rollout_percentage"),
                (
                    """{"multivariate_feature_state_values": [{"multivariate_feature_option": 987654321, "percentage_allocation": 5}]}""",
                    "experiment_rollout.multivariate_feature_state_values[0].multivariate_feature_option"
                ),
                (
                    """{"multivariate_feature_state_values": [null]}""",
                    "experiment_rollout.multivariate_feature_state_values[0].multivariate_feature_option"
                ),
                (
                    $$"""
                    {"multivariate_feature_state_values": [{"multivariate_feature_option": {{option}}, "percentage_allocation":
                        -79228162514264337593543950335}]}
                    """,
                    "experiment_rollout.multivariate_feature_state_values[0].percentage_allocation"
                ),
                ("""{"feature_state_value": {"type": "integer", "value": "blue"}}""", "experiment_rollout.feature_state_value"),
                ("""{"feature_state_value": {"type": "string", "value": "red"}}""", "experiment_rollout.feature_state_value"),
            }
        )
        {
            (await Create(feature.Id, rollout)).MustName(field);
        }

        (await Create(foreign.Id, "null"))["errors"].ToJsonString().ShouldBe((await Create(987_654_321, "null"))["errors"].ToJsonString());
        (await service.AsUser("stranger").Get(path)).MustBe(403, "access.denied");
        (await service.As(null).Get(path)).MustBe(401, "credential.missing");
        (await FrontEnd().Get($"{Base}/projects/{given.ProjectId}/features/?environment=987654321")).MustName("environment");
        (await given.Admin.Get(given.Experiments)).Must(200)["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task What_is_not_sent_stays_as_it_is()
    {
        var given = await Given.AnEnvironment(service);
        var root = $"{Base}/environments/{given.Key}";
        var feature = await given.AFeature("green", "red");
        var options = feature["multivariate_options"];
        var draft = (
            await FrontEnd()
                .Post(
                    $"{root}/experiments/",
                    $$$"""
                    {"feature": {{{feature.Id}}}, "name": "n", "hypothesis": "h", "experiment_rollout": {"unknown": 1,
                     "multivariate_feature_state_values": [
                        {"multivariate_feature_option": {{{options[0]!["id"]}}}, "percentage_allocation": 25, "id": 7},
                        {"multivariate_feature_option": {{{options[1]!["id"]}}}, "percentage_allocation": 25}]}}
                    """
                )
        ).Must(201);

        var changed = (
            await FrontEnd()
                .Patch(
                    $"{root}/experiments/{draft.Id}/rollout/",
                    $$$"""
                    {"rollout_percentage": 80, "multivariate_feature_state_values": [
                        {"multivariate_feature_option": {{{options[0]!["id"]}}}, "percentage_allocation": 30}]}
                    """
                )
        ).Must(200);

        changed["experiment_rollout"]["multivariate_feature_state_values"]!
            .AsArray()
            .Select(one => one!["percentage_allocation"]!.GetValue<decimal>())
            .ShouldBe([30, 25]);
        foreach (var member in new[] { "feature", "metrics", "experiment_rollout" })
        {
            (await FrontEnd().Patch($"{root}/experiments/{draft.Id}/", $$"""{"name": "x", "{{member}}": [1]}""")).MustName(member);
        }

        // A metric made elsewhere keeps its aggregation and what its value is taken from.
        var metric = await given.AMetric("occurrence", definition: new { @event = "purchase" });
        var path = $"{root}/experiment-metrics/{metric.Id}/";
        (await FrontEnd().Patch(path, """{"definition": {"version": 1, "event": "signup"}}""")).Must(200);
        (await FrontEnd().Patch(path, new { aggregation = "sum" })).MustName("aggregation");
        (await FrontEnd().Send(HttpMethod.Put, path, Client.Bytes("{}"u8.ToArray()))).MustName("name", "definition");
        var used = await given.AMetric("sum", definition: new { @event = "purchase", property = "metadata.price" });
        await given.Start(await given.AnExperimentWith(new { metric = used.Id, role = "primary" }));
        var shown = (await FrontEnd().Get($"{root}/experiment-metrics/{used.Id}/")).Must(200);
        (
            await FrontEnd()
                .Patch(
                    $"{root}/experiment-metrics/{used.Id}/",
                    new JsonObject { ["name"] = "Revenue", ["definition"] = shown["definition"].DeepClone() }.ToJsonString()
                )
        )
            .Must(200)["name"]
            .GetValue<string>()
            .ShouldBe("Revenue");
    }

    private Client FrontEnd() => service.As($"Token {TestService.AdminKey}");
}
