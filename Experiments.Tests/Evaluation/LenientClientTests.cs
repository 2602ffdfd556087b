using System.Text.Json.Nodes;

namespace Experiments.Tests.Evaluation;

/// <summary>What clients of many languages and years send, and strict rules would refuse.</summary>
public class LenientClientTests(SharedService service) : IClassFixture<SharedService>
{
    private const string Identities = "/api/v1/identities/";
    private const string Bulk = "/ofrep/v1/evaluate/flags";

    [Theory]
    [InlineData("""{"traits": [{"trait_key": "x", "trait_value": 1}]}""")]
    [InlineData("""{"identifier": null, "transient": true, "traits": []}""")]
    [InlineData("""{"identifier": "", "traits": []}""")]
    public async Task Whoever_has_no_identifier_gets_the_own_values(string body)
    {
        var (given, experiment) = await Running(service);

        var identity = (await given.Sdk.PostText(Identities, body)).Must(200);

        var flag = identity["flags"].AsArray().ShouldHaveSingleItem()!;
        flag["feature_state_value"]!.GetValue<string>().ShouldBe("blue");
        flag["variant"].ShouldBeNull();
        flag["metadata"]!["experiment"]!["in_experiment"]!.GetValue<bool>().ShouldBeFalse();
        identity["identifier"].GetValue<string>().ShouldNotBeEmpty();
        (await given.Exposures(experiment))["total"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task A_number_identifies_by_its_digits_on_every_route()
    {
        var (given, experiment) = await Running(service);
        var expected = (await given.Sdk.Get($"{Identities}?identifier=42")).Must(200);

        var posted = (await given.Sdk.PostText(Identities, """{"identifier": 42, "traits": []}""")).Must(200);
        var one = (await given.Sdk.PostText($"{Bulk}/{experiment["feature"]["name"]}", Context("42"))).Must(200);
        var all = (await given.Sdk.PostText(Bulk, Context("42"))).Must(200);
        await given.Send(
            JsonNode.Parse(
                $$"""
                {"event": "$flag_exposure", "feature_name": "{{experiment["feature"]["name"]}}", "identifier": 42,
                 "value": "green", "timestamp": {{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()}}}
                """
            )!
        );

        posted["identifier"].GetValue<string>().ShouldBe("42");
        var variant = expected["flags"][0]!["variant"]!.GetValue<string>();
        posted["flags"][0]!["variant"]!.GetValue<string>().ShouldBe(variant);
        one["variant"].GetValue<string>().ShouldBe(variant);
        all["flags"][0]!["variant"]!.GetValue<string>().ShouldBe(variant);
        (await given.Stored()).ShouldHaveSingleItem().ShouldContain("\"identifier\": \"42\"");
    }

    [Fact]
    public async Task Members_that_are_not_known_are_ignored_and_told()
    {
        var (given, experiment) = await Running(service);

        (
            await given.Sdk.PostText(
                Identities,
                """{"identifier": "a", "more": 1, "traits": [{"id": 3, "trait_key": "p", "trait_value": 1}]}"""
            )
        )
            .Must(200)["traits"]
            .ToJsonString()
            .ShouldBe("""[{"trait_key":"p","trait_value":1}]""");
        var receipt = (
            await given.Sdk.PostText(
                "/v1/events",
                $$"""
                {"source": "web", "events": [{"event": "purchase", "identifer": "u", "id": null, "library": {"a": [1]},
                    "timestamp": {{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()}}}]}
                """
            )
        ).Must(202);

        receipt["accepted"].GetValue<int>().ShouldBe(1);
        receipt["ignored"].ToJsonString().ShouldBe("""["identifer","library","source"]""");
        // The management API is strict.
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { nmae = "x" })).MustName("nmae");
    }

    [Theory]
    [InlineData("""{"context": {}}""")]
    [InlineData("""{"context": {"targetingKey": ""}}""")]
    [InlineData("""{"context": {"targetingKey": null, "email": "a@example.com"}}""")]
    public async Task OpenFeature_without_a_targeting_key_gets_the_own_values(string body)
    {
        var (given, experiment) = await Running(service);

        foreach (
            var flag in new[]
            {
                (await given.Sdk.PostText($"{Bulk}/{experiment["feature"]["name"]}", body)).Must(200).Json!,
                (await given.Sdk.PostText(Bulk, body)).Must(200)["flags"].AsArray().ShouldHaveSingleItem()!,
            }
        )
        {
            flag["value"]!.GetValue<string>().ShouldBe("blue");
            flag["variant"].ShouldBeNull();
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_feature_that_is_only_on_or_off_has_that_as_its_value_for_OpenFeature(bool enabled)
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post(given.Features, new { name = "onoff", enabled })).Must(201);
        await given.Served(flag => flag["enabled"]!.GetValue<bool>() == enabled);

        (await given.Sdk.PostText($"{Bulk}/onoff", Context("\"u\"")))["value"].GetValue<bool>().ShouldBe(enabled);
        (await given.Sdk.Get("/api/v1/flags/")).Json![0]!["feature_state_value"].ShouldBeNull();
    }

    [Fact]
    public async Task The_key_of_a_flag_may_have_an_encoded_slash()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post(given.Features, new { name = "with/slash", initial_value = "x" })).Must(201);
        await given.Served(1);

        (await given.Sdk.PostText($"{Bulk}/with%2Fslash", Context("\"u\""))).Must(200)["value"].GetValue<string>().ShouldBe("x");
        (await given.Sdk.PostText($"{Bulk}/with%2fslash", Context("\"u\""))).Must(200)["key"].GetValue<string>().ShouldBe("with/slash");
    }

    [Fact]
    public async Task NUL_and_broken_text_identify_nobody()
    {
        var (given, experiment) = await Running(service);
        var nul = "\"a\\u0000b\"";

        (await given.Sdk.PostText($"{Bulk}/{experiment["feature"]["name"]}", Context(nul)))
            .Must(400)["errorCode"]
            .GetValue<string>()
            .ShouldBe("INVALID_CONTEXT");
        (await given.Sdk.PostText(Bulk, Context(nul))).Must(400);
        (await given.Sdk.PostText(Identities, $$"""{"identifier": {{nul}}}""")).Must(400);
        foreach (var broken in new[] { "a%00b", "%FF", "a%C3%28" })
        {
            (await given.Sdk.Get($"{Identities}?identifier={broken}")).MustName("identifier");
        }
    }

    [Fact]
    public async Task What_Flagsmiths_SDKs_send_besides_is_taken()
    {
        var given = await Given.AnEnvironment(service);
        const string Trait = """{"identity":{"identifier":"u"},"trait_key":"plan","trait_value":"pro"}""";

        (await given.Sdk.PostText("/api/v1/analytics/flags/", """{"button": 3}""")).Must(200);
        (await given.Sdk.PostText("/api/v1/traits/", Trait)).Must(200).Text.ShouldBe(Trait);
        (await given.Sdk.Send(HttpMethod.Put, "/api/v1/traits/bulk/", Client.Bytes(System.Text.Encoding.UTF8.GetBytes($"[{Trait}]"))))
            .Must(200)
            .Text.ShouldBe($"[{Trait}]");
        (await given.Sdk.PostText("/api/v1/traits/increment-value/", """{"identifier": 7, "trait_key": "visits", "increment_by": 2}"""))
            .Must(200)
            .Text.ShouldBe("""{"identity":{"identifier":"7"},"trait_key":"visits","trait_value":2}""");
        (await given.Sdk.PostText("/api/v1/bulk-identities/", """{"data": [{"identifier": "u", "traits": []}]}""")).Must(200);
        (await given.Sdk.PostText("/api/v1/traits/", "{")).MustBe(400, "request.malformed");
        (await service.As(null).PostText("/api/v1/analytics/flags/", "{}")).MustBe(401, "environment_key.missing");
    }

    private static string Context(string targetingKey) => $$$"""{"context": {"targetingKey": {{{targetingKey}}}}}""";

    private static async Task<(Given Given, Reply Experiment)> Running(TestService service)
    {
        var given = await Given.AnEnvironment(service);
        return (given, await given.Start(await given.AnExperiment()));
    }
}
