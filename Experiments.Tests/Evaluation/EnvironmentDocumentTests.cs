namespace Experiments.Tests.Evaluation;

/// <summary>What Flagsmith's SDKs for servers read.</summary>
public class EnvironmentDocumentTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task Experiments_that_the_engine_can_assign_are_in_it_and_others_have_their_own_value()
    {
        var given = await Given.AnEnvironment(service);
        var native = await given.Start(await given.AnExperiment());
        var experiment = await Flagsmith(given, "local");
        await given.Start(experiment);
        var key = await Key(given);

        var document = (await Document($"ser.{key}")).Must(200);

        var states = document["feature_states"].AsArray();
        states.Single(state => state!["feature"]!["id"]!.GetValue<long>() == native["feature"]["id"]!.GetValue<long>())![
            "multivariate_feature_state_values"
        ]!
            .AsArray()
            .ShouldBeEmpty();
        var state = states.Single(state => state!["feature"]!["name"]!.GetValue<string>() == "local")!;
        state["multivariate_feature_state_values"]!
            .ToJsonString()
            .ShouldBe("""[{"id":1,"percentage_allocation":50,"multivariate_feature_option":{"id":1,"value":"test"}}]""");
        document["project"]["segments"]!.AsArray().ShouldBeEmpty();

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 12.5 })).Must(200);
        document = (await Document($"ser.{key}")).Must(200);
        document["project"]["segments"]![0]!["rules"]![0]!["rules"]![0]!["conditions"]!
            .ToJsonString()
            .ShouldBe("""[{"operator":"PERCENTAGE_SPLIT","property_":null,"value":"12.5"}]""");
    }

    [Fact]
    public async Task It_is_for_the_key_of_one_environment()
    {
        var given = await Given.AnEnvironment(service);

        (await Document(given.Key)).Must(401);
        (await Document("ser.exp_wrong")).Must(401);
        (await Document($"ser.{TestService.AdminKey}")).MustBe(403, "access.denied");
        (await service.As($"Api-Key {await Key(given)}").Get("/api/v1/environment-document/")).Must(200);
        // Such a key opens nothing else in this way.
        (await service.As(null).With("X-Environment-Key", $"ser.{await Key(given)}").Get(given.Experiments)).Must(401);
    }

    [Fact]
    public async Task Flagsmiths_hashing_goes_with_neither_a_holdout_nor_a_unit()
    {
        var given = await Given.AnEnvironment(service);
        var holdout = await given.AHoldout(5);
        foreach (var other in new[] { $"\"holdout\": {holdout.Id}", "\"unit\": {\"key\": \"company\"}" })
        {
            (
                await given.Admin.Post(
                    given.Experiments,
                    $$"""{"name": "n", "hypothesis": "h", "feature": {"name": "f"}, "hashing": "flagsmith", {{other}}}"""
                )
            ).MustName("hashing");
        }

        var experiment = await Flagsmith(given, "f");
        experiment["hashing"].GetValue<string>().ShouldBe("flagsmith");
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { holdout = holdout.Id })).MustName("holdout");
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { unit = new { key = "company" } })).MustName("unit");
        (
            await given.Admin.Post(given.Experiments, """{"name": "n", "hypothesis": "h", "feature": {"name": "g"}, "hashing": "md5"}""")
        ).MustName("hashing");
        await given.Start(experiment);
        (await given.Act(experiment.Id, "complete", new { ship = "test" })).Must(200);
        (await given.Act(experiment.Id, "duplicate")).Must(201)["hashing"].GetValue<string>().ShouldBe("flagsmith");
    }

    private static async Task<Reply> Flagsmith(Given given, string feature) =>
        (
            await given.Admin.Post(
                given.Experiments,
                $$"""{"name": "n", "hypothesis": "h", "hashing": "flagsmith", "feature": {"name": "{{feature}}"} }"""
            )
        ).Must(201);

    private static async Task<string> Key(Given given) =>
        (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "server", scopes = new[] { "read" } }))
            .Must(201)["key"]
            .GetValue<string>();

    private Task<Reply> Document(string key) => service.As(null).With("X-Environment-Key", key).Get("/api/v1/environment-document/");
}
