using System.Text.Json.Nodes;

namespace Experiments.Tests.Evaluation;

/// <summary>What GrowthBook's SDKs ask for, as bytes.</summary>
public class GrowthBookTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_feature_is_forced_to_what_every_other_protocol_gives_it_and_tracked()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment("green", "red");
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 70 })).Must(200);
        (await given.Admin.Post(given.Features, new { name = "switch", enabled = true })).Must(201);
        (await given.Admin.Post(given.Features, new { name = "off", initial_value = "secret" })).Must(201);
        (
            await given.Admin.Post(
                given.Features,
                new
                {
                    name = "limit",
                    initial_value = 12.5,
                    enabled = true,
                }
            )
        ).Must(201);
        await given.Start(experiment);
        await given.Served(flags: 4);
        var name = experiment["feature"]["name"]!.GetValue<string>();

        for (var n = 0; n < 40; n++)
        {
            var identifier = $"user-\"{n}\"-é";
            var expected = (await given.Evaluate(experiment["feature"], identifier)).Must(200);
            var features = (await Features(given, new { attributes = new { id = identifier } })).Must(200)["features"];
            JsonNode.DeepEquals(features[name]!["defaultValue"], expected["value"]).ShouldBeTrue();
            if (expected.Json!["variant"]?.GetValue<string>() is not { } variant)
            {
                features[name]!["rules"].ShouldBeNull();
                continue;
            }

            var rule = features[name]!["rules"]!.AsArray().ShouldHaveSingleItem()!;
            JsonNode.DeepEquals(rule["force"], expected["value"]).ShouldBeTrue();
            var track = rule["tracks"]!.AsArray().ShouldHaveSingleItem()!;
            track["experiment"]!["id"]!.GetValue<long>().ShouldBe(experiment.Id);
            track["result"]!["key"]!.GetValue<string>().ShouldBe(variant);
            track["result"]!["variationId"]!.GetValue<int>().ShouldBe(Array.IndexOf(["control", "green", "red"], variant));
            track["result"]!["hashValue"]!.GetValue<string>().ShouldBe(identifier);
            features["switch"]!["defaultValue"]!.GetValue<bool>().ShouldBeTrue();
            features["limit"]!["defaultValue"]!.GetValue<double>().ShouldBe(12.5);
            features["off"]!["defaultValue"].ShouldBeNull();
        }
    }

    [Fact]
    public async Task Whoever_has_no_id_has_own_values_and_a_company_is_assigned_by_its_key()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { unit = new { key = "company" } })).Must(200);
        await given.Start(experiment);
        var name = experiment["feature"]["name"]!.GetValue<string>();

        foreach (var body in new object[] { new { }, new { attributes = new { } }, new { attributes = new { id = "user-1" } } })
        {
            (await Features(given, body)).Must(200)["features"][name]!["rules"].ShouldBeNull();
        }

        var track = (await Features(given, new { attributes = new { id = "user-1", company = 42 }, forcedVariations = new { } })).Must(200)[
            "features"
        ][name]!["rules"]![0]!["tracks"]![0]!["result"]!;
        (track["hashAttribute"]!.GetValue<string>(), track["hashValue"]!.GetValue<string>()).ShouldBe(("company", "42"));
    }

    [Fact]
    public async Task A_tester_is_shown_the_variant_that_is_forced_and_is_not_tracked()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment("green", "red");
        var other = await given.Start(await given.AnExperiment());
        await given.Start(experiment);
        await given.Served(flags: 2);
        var name = experiment["feature"]["name"]!.GetValue<string>();
        var otherName = other["feature"]["name"]!.GetValue<string>();
        var values = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200)["variants"].AsArray();

        for (var index = 0; index < 3; index++)
        {
            // With an identity and without one.
            foreach (var attributes in new object[] { new { id = "user-1" }, new { } })
            {
                var forced = new Dictionary<string, object> { [name] = index };
                var features = (await Features(given, new { attributes, forcedVariations = forced })).Must(200)["features"];
                JsonNode.DeepEquals(features[name]!["defaultValue"], values[index]!["value"]).ShouldBeTrue();
                features[name]!["rules"].ShouldBeNull();
            }
        }

        var plain = (await Features(given, new { attributes = new { id = "user-1" } })).Must(200).Text;
        foreach (var wrong in new object?[] { 3, -1, "1", 1.5, null, new { } })
        {
            var forced = new Dictionary<string, object?> { [name] = wrong, ["unknown"] = 1 };
            (await Features(given, new { attributes = new { id = "user-1" }, forcedVariations = forced })).Must(200).Text.ShouldBe(plain);
        }

        foreach (var wrong in new object?[] { null, "x", new[] { 1 }, 5 })
        {
            (await Features(given, new { attributes = new { id = "user-1" }, forcedVariations = wrong })).Must(200).Text.ShouldBe(plain);
        }

        // Of the other experiment it is part as ever.
        var both = (
            await Features(given, new { attributes = new { id = "user-1" }, forcedVariations = new Dictionary<string, int> { [name] = 1 } })
        ).Must(200)["features"];
        both[otherName]!["rules"]!.AsArray().ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Whoever_cannot_be_served_is_told()
    {
        var given = await Given.AnEnvironment(service);

        (await service.As(null).Post("/api/eval/none", new { attributes = new { } })).MustBe(403, "environment_key.unknown");
        (await Features(given, new { attributes = new { id = "a\0b" } })).Must(400);
        (await Features(given, new { attributes = new { id = new string('x', 2001) } })).MustName("attributes.id");
    }

    private static Task<Reply> Features(Given given, object body) => given.Service.As(null).Post($"/api/eval/{given.Key}", body);
}
