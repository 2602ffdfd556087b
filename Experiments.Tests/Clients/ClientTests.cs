using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

public class ClientTests(TestService service, NodeClients clients) : IClassFixture<TestService>, IClassFixture<NodeClients>
{
    private const int Identities = 1000;

    private readonly NodeClients _ = clients;

    private string Address => service.Address.GetLeftPart(UriPartial.Authority);

    [Fact]
    public async Task Flagsmiths_and_OpenFeatures_clients_run_an_experiment_from_end_to_end()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment("green", "red");
        var feature = experiment["feature"]["name"]!.GetValue<string>();
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 80 })).Must(200);
        foreach (var (name, value) in new[] { ("number", "12.5"), ("boolean", "true"), ("object", """{"a": [1]}""") })
        {
            (await given.Admin.Post(given.Features, $$"""{"name": "{{name}}", "initial_value": {{value}}, "enabled": true}""")).Must(201);
        }

        await given.Start(experiment);

        var variants = JsonNode
            .Parse(await NodeClients.Run("flagsmith.mjs", Address, given.Key, feature, $"{Identities}"))!
            .AsObject()
            .ToDictionary(identity => identity.Key, identity => identity.Value?.GetValue<string>());

        // Exactly those identities, in exactly those variants.
        variants.Count.ShouldBe(Identities);
        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(variants.Count(identity => identity.Value is not null));
        counted["total"].GetValue<int>().ShouldBeInRange(700, 900);
        counted["excluded"].AsObject().ShouldAllBe(reason => reason.Value!.GetValue<int>() == 0);
        foreach (var variant in counted["variants"].AsArray())
        {
            variant!["identities"]!
                .GetValue<int>()
                .ShouldBe(variants.Count(identity => identity.Value == variant["key"]!.GetValue<string>()));
        }

        var stored = await service.QueryAll<(string Identifier, string Value)>(
            "SELECT identifier, value FROM events v JOIN environments e ON e.id = v.environment_id WHERE e.key = @Key AND event = "
                + "'purchase'",
            new { given.Key }
        );
        stored
            .Order()
            .ShouldBe(Enumerable.Range(0, Identities).Select(n => ($"user-{n}", n.ToString(CultureInfo.InvariantCulture))).Order());

        // OpenFeature gives the same identities the same variants.
        foreach (
            var evaluation in JsonNode
                .Parse(await NodeClients.Run("openfeature.mjs", Address, given.Key, "100", feature, "number", "boolean", "object"))!
                .AsArray()
        )
        {
            var expected = variants[evaluation!["identifier"]!.GetValue<string>()];
            evaluation["string"]!["value"]!.GetValue<string>().ShouldBe(expected is null or "control" ? "blue" : expected);
            (evaluation["string"]!["variant"]?.GetValue<string>()).ShouldBe(expected);
            evaluation["string"]!["reason"]!.GetValue<string>().ShouldBe(expected is null ? "STATIC" : "SPLIT");
            evaluation["string"]!["flagMetadata"]!["in_experiment"]!.GetValue<bool>().ShouldBe(expected is not null);
            evaluation["number"]!["value"]!.GetValue<double>().ShouldBe(12.5);
            evaluation["boolean"]!["value"]!.GetValue<bool>().ShouldBeTrue();
            evaluation["object"]!["value"]!.ToJsonString().ShouldBe("""{"a":[1]}""");
            evaluation["missing"]!["value"]!.GetValue<string>().ShouldBe("default");
            evaluation["missing"]!["errorCode"]!.GetValue<string>().ShouldBe("FLAG_NOT_FOUND");
            evaluation["mistyped"]!["errorCode"]!.GetValue<string>().ShouldBe("TYPE_MISMATCH");
        }
    }

    [Fact]
    public async Task The_web_provider_keeps_its_flags_until_they_change()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        await given.Served(flags: 1);
        using var web = NodeClients.Start("node", ["web.mjs", Address, given.Key]);
        try
        {
            var first = await Said();
            first["status"]!.GetValue<int>().ShouldBe(200);
            var second = await AskAgain();
            second["status"]!.GetValue<int>().ShouldBe(304);
            second["flags"]!.ToJsonString().ShouldBe(first["flags"]!.ToJsonString());

            (await given.Act(experiment.Id, "start")).Must(200);
            JsonNode? third = null;
            await Given.Eventually(async () => (third = await AskAgain())["status"]!.GetValue<int>() == 200, TimeSpan.FromSeconds(1));
            third!["etag"]!.GetValue<string>().ShouldNotBe(first["etag"]!.GetValue<string>());
            third["flags"]![experiment["feature"]["name"]!.GetValue<string>()]!["reason"]!.GetValue<string>().ShouldBe("SPLIT");
        }
        finally
        {
            web.Kill();
            await web.WaitForExitAsync();
        }

        async Task<JsonNode> AskAgain()
        {
            await web.StandardInput.WriteLineAsync();
            return await Said();
        }

        async Task<JsonNode> Said() =>
            JsonNode.Parse(await web.StandardOutput.ReadLineAsync() ?? throw new JsonException(await web.StandardError.ReadToEndAsync()))!;
    }
}
