using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Holdouts;

/// <summary>Who is held out of an experiment is held out of its outcome as well, until the holdout is retired.</summary>
public class ShippedHoldoutTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task Those_held_out_keep_the_former_value_after_a_variant_is_shipped()
    {
        var (given, holdout, experiment) = await Shipped();

        var feature = (await given.Admin.Get($"{given.Features}{experiment["feature"]["id"]}/")).Must(200);
        feature["initial_value"].GetValue<string>().ShouldBe("green");
        feature["held_value"].ToJsonString().ShouldBe($$$"""{"value":"blue","holdout":{"id":{{{holdout.Id}}},"name":"never"}}""");
        await Serves(given, holdout, held: "blue");
        var flag = (await given.Sdk.Get($"/api/v1/identities/?identifier={await SomebodyIn(holdout)}")).Must(200)["flags"][0]!;
        flag["feature_state_value"]!.GetValue<string>().ShouldBe("blue");
        flag["metadata"]!.ToJsonString().ShouldBe($$"""{"holdout":{{holdout.Id}}}""");
        (await service.Query<string>(Held, new { feature.Id })).ShouldBe($$"""{"value": "blue", "holdout": {{holdout.Id}}}""");

        // A feature that is off is off for all.
        (await given.Admin.Patch($"{given.Features}{feature.Id}/", new { enabled = false })).Must(200);
        await given.Served(flag => !flag["enabled"]!.GetValue<bool>());
        await Serves(given, holdout, held: "green");
        (await given.Admin.Patch($"{given.Features}{feature.Id}/", new { enabled = true })).Must(200);
        await given.Served(flag => flag["enabled"]!.GetValue<bool>());
        await Serves(given, holdout, held: "blue");

        (await given.Admin.Delete($"{given.Experiments}{experiment.Id}/")).Must(204);
        await Serves(given, holdout, held: "blue");
    }

    [Theory]
    [InlineData("green")]
    [InlineData("black")]
    public async Task Whoever_sets_the_value_by_hand_sets_it_for_all(string value)
    {
        var (given, holdout, experiment) = await Shipped();
        var path = $"{given.Features}{experiment["feature"]["id"]}/";

        var feature = (await given.Admin.Patch(path, new { initial_value = value })).Must(200);

        feature.Json!["held_value"].ShouldBeNull();
        feature.ETag.ShouldBe((await given.Admin.Get(path)).ETag);
        await Eventually(given, holdout, held: value, others: value);
        (await given.Audit("feature", feature.Id)).ShouldBe(["feature.created", "feature.updated", "feature.updated", "feature.updated"]);
    }

    [Theory]
    [InlineData("retire")]
    [InlineData("delete")]
    public async Task A_holdout_that_ends_sets_its_identities_free_and_no_experiment_can_have_it(string how)
    {
        var (given, holdout, experiment) = await Shipped();
        var draft = (await given.Admin.Post(given.Experiments, Body(holdout.Id, "other"))).Must(201);
        var path = $"{given.Root}/holdouts/{holdout.Id}/";

        (how == "retire" ? await given.Admin.Post($"{path}retire/") : await given.Admin.Delete(path)).Must(how == "retire" ? 200 : 204);

        await Eventually(given, holdout, held: "green", others: "green");
        (await given.Admin.Get($"{given.Features}{experiment["feature"]["id"]}/")).Must(200).Json!["held_value"].ShouldBeNull();
        (await given.Admin.Get($"{given.Experiments}{draft.Id}/")).Must(200).Json!["holdout"].ShouldBeNull();
        (await given.Audit("experiment", draft.Id)).ShouldBe(["experiment.created", "experiment.updated"]);
        (await given.Admin.Post(given.Experiments, Body(holdout.Id, "third"))).MustName("holdout");
        (await given.Admin.Patch($"{given.Experiments}{draft.Id}/", new { holdout = holdout.Id })).MustName("holdout");
        (await given.Audit("holdout", holdout.Id)).ShouldBe(["holdout.created", how == "retire" ? "holdout.retired" : "holdout.deleted"]);
        // What it was stays with the experiment that ran.
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200)["holdout"]["id"]!.GetValue<long>().ShouldBe(holdout.Id);
        if (how == "retire")
        {
            var retired = (await given.Admin.Get(path)).Must(200);
            retired["retired_at"].GetValue<DateTime>().ShouldBe(DateTime.UtcNow, TimeSpan.FromMinutes(1));
            retired["experiments"].AsArray().ShouldHaveSingleItem()!["id"]!.GetValue<long>().ShouldBe(experiment.Id);
            (await given.Admin.Post($"{path}retire/")).MustBe(409, "holdout.retired");
            (await given.Admin.Get($"{path}results/")).Must(200);
            (await given.Admin.Delete(path)).Must(204);
        }
    }

    [Fact]
    public async Task The_next_experiment_on_the_feature_leaves_the_same_identities_out()
    {
        var (given, holdout, experiment) = await Shipped();
        var feature = experiment["feature"]["id"]!.GetValue<long>();

        var next = await given.AnExperimentOn(feature);
        next["holdout"]["id"]!.GetValue<long>().ShouldBe(holdout.Id);
        (await given.Admin.Patch($"{given.Experiments}{next.Id}/", """{"holdout": null}""")).Must(200);
        (await given.Act(next.Id, "start")).MustBe(409, "experiment.nothing_to_compare");
        (await given.Admin.Patch($"{given.Experiments}{next.Id}/", new { aa = true })).Must(200);
        (await given.Act(next.Id, "start")).MustBe(409, "experiment.other_holdout");
        (await given.Admin.Patch($"{given.Experiments}{next.Id}/", new { holdout = holdout.Id })).Must(200);

        await given.Start(next);
        await Serves(given, holdout, held: "blue");
        (await given.Admin.Patch($"{given.Features}{feature}/", new { initial_value = "green" })).MustBe(409, "feature.locked");
        (await given.Act(next.Id, "complete", new { ship = "green" })).Must(200);
        await Serves(given, holdout, held: "blue");
    }

    [Fact]
    public async Task A_draft_that_is_sent_back_as_it_was_read_sets_no_value()
    {
        var (given, holdout, experiment) = await Shipped();
        var copy = (await given.Act(experiment.Id, "duplicate")).Must(201);
        var variants = copy["variants"].DeepClone().AsArray();
        (variants[0]!["weight"], variants[1]!["weight"]) = (70, 30);

        (await given.Admin.Patch($"{given.Experiments}{copy.Id}/", new JsonObject { ["variants"] = variants }.ToJsonString())).Must(200)[
            "variants"
        ][0]!["value"]!
            .GetValue<string>()
            .ShouldBe("blue");

        var feature = (await given.Admin.Get($"{given.Features}{experiment["feature"]["id"]}/")).Must(200);
        feature["initial_value"].GetValue<string>().ShouldBe("green");
        feature["held_value"]["value"]!.GetValue<string>().ShouldBe("blue");
        await Serves(given, holdout, held: "blue");
        // A rename of the holdout is a new version of what shows it.
        (await given.Admin.Patch($"{given.Root}/holdouts/{holdout.Id}/", new { name = "2026" })).Must(200);
        var renamed = (await given.Admin.Get($"{given.Features}{feature.Id}/", ("If-None-Match", feature.ETag!))).Must(200);
        renamed["held_value"]["holdout"]!["name"]!.GetValue<string>().ShouldBe("2026");
    }

    [Fact]
    public async Task What_is_held_goes_by_the_value_and_not_by_the_name_of_the_variant()
    {
        var given = await Given.AnEnvironment(service);
        var holdout = (await given.Admin.Post($"{given.Root}/holdouts/", new { name = "never", percentage = 50 })).Must(201);
        var first = await given.Start((await given.Admin.Post(given.Experiments, Body(holdout: null, "f", control: 50))).Must(201));
        (await given.Act(first.Id, "complete", new { ship = "green" })).Must(200);
        var again = (await given.Act(first.Id, "duplicate")).Must(201);
        again["variants"][0]!["value"]!.GetValue<string>().ShouldBe("blue");
        (await given.Admin.Patch($"{given.Experiments}{again.Id}/", new { holdout = holdout.Id })).Must(200);
        await given.Start(again);

        // Back to blue for all but those held out, who had green.
        (await given.Act(again.Id, "complete", new { ship = "control" })).Must(200);

        await given.Served(flag => flag["metadata"]!.AsObject().Count == 0);
        await Serves(given, holdout, held: "green", others: "blue");
    }

    [Fact]
    public async Task A_duplicate_of_a_duplicate_still_compares_the_same()
    {
        var (given, _, experiment) = await Shipped();
        var copy = await given.Start((await given.Act(experiment.Id, "duplicate")).Must(201));
        (await given.Act(copy.Id, "complete")).Must(200);

        (await given.Act(copy.Id, "duplicate")).Must(201)["variants"].ToJsonString().ShouldBe(experiment["variants"].ToJsonString());
    }

    [Fact]
    public async Task Control_that_is_shipped_holds_nobody()
    {
        var (given, _, experiment) = await Shipped("control");

        (await given.Admin.Get($"{given.Features}{experiment["feature"]["id"]}/")).Must(200).Json!["held_value"].ShouldBeNull();
    }

    private const string Held = """
        SELECT (after->'held_value')::text FROM audit_log WHERE object_type = 'feature' AND object_id = @Id ORDER BY id DESC LIMIT 1
        """;

    private static object Body(long? holdout, string name, int control = 0) =>
        new
        {
            name = "Green button",
            hypothesis = "h",
            holdout,
            feature = new
            {
                name,
                variants = new[]
                {
                    new
                    {
                        key = "control",
                        value = "blue",
                        weight = control,
                    },
                    new
                    {
                        key = "green",
                        value = "green",
                        weight = 100 - control,
                    },
                },
            },
        };

    private async Task<(Given Given, Reply Holdout, Reply Experiment)> Shipped(string variant = "green")
    {
        var given = await Given.AnEnvironment(service);
        var holdout = (await given.Admin.Post($"{given.Root}/holdouts/", new { name = "never", percentage = 50 })).Must(201);
        var experiment = (await given.Admin.Post(given.Experiments, Body(holdout.Id, "f"))).Must(201);
        await given.Start(experiment);
        var shipped = (await given.Act(experiment.Id, "complete", new { ship = variant })).Must(200);
        await given.Served(flag => flag["metadata"]!.AsObject().Count == 0);
        return (given, holdout, shipped);
    }

    private Task<string> Salt(Reply holdout) => service.Query<string>("SELECT salt FROM holdouts WHERE id = @Id", new { holdout.Id });

    private async Task<string> SomebodyIn(Reply holdout)
    {
        var salt = await Salt(holdout);
        return Enumerable.Range(0, 100).Select(n => $"u{n}").First(identity => Assignment.Admits(salt, identity, 50));
    }

    private async Task Serves(Given given, Reply holdout, string held, string others = "green")
    {
        var salt = await Salt(holdout);
        for (var n = 0; n < 20; n++)
        {
            (await given.Evaluate(JsonNode.Parse("""{"name": "f"}""")!, $"u{n}"))
                .Must(200)["value"]
                .GetValue<string>()
                .ShouldBe(Assignment.Admits(salt, $"u{n}", 50) ? held : others, $"u{n}");
        }
    }

    private async Task Eventually(Given given, Reply holdout, string held, string others)
    {
        var somebody = await SomebodyIn(holdout);
        await Given.Eventually(async () =>
            (await given.Evaluate(JsonNode.Parse("""{"name": "f"}""")!, somebody)).Must(200)["value"].GetValue<string>() == held
        );
        await Serves(given, holdout, held, others);
    }
}
