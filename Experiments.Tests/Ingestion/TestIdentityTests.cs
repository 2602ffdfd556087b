using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Ingestion;

/// <summary>Identities that are left out because they only test.</summary>
public class TestIdentityTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("""{"trait": "email", "operator": "equals", "value": "a@example.com"}""", """{"email": "a@example.com"}""", true)]
    [InlineData("""{"trait": "email", "operator": "equals", "value": "a@example.com"}""", """{"email": "b@example.com"}""", false)]
    [InlineData("""{"trait": "plan", "operator": "not_equals", "value": "paid"}""", """{"plan": "free"}""", true)]
    [InlineData("""{"trait": "plan", "operator": "not_equals", "value": "paid"}""", """{"plan": "paid"}""", false)]
    [InlineData("""{"trait": "plan", "operator": "not_equals", "value": "paid"}""", "{}", true)]
    [InlineData("""{"trait": "email", "operator": "contains", "value": "@Example.com"}""", """{"email": "c@example.com"}""", true)]
    [InlineData("""{"trait": "email", "operator": "contains", "value": "@example.com"}""", "null", false)]
    [InlineData("""{"trait": "email", "operator": "matches", "value": "^qa[0-9]+@"}""", """{"email": "qa7@example.com"}""", true)]
    [InlineData("""{"trait": "email", "operator": "matches", "value": "^qa[0-9]+@"}""", """{"email": "aqa7@example.com"}""", false)]
    [InlineData("""{"trait": "internal", "operator": "exists"}""", """{"internal": false}""", true)]
    [InlineData("""{"trait": "internal", "operator": "exists"}""", """{"internal": null}""", false)]
    [InlineData("""{"trait": "internal", "operator": "not_exists"}""", """{"other": 1}""", true)]
    [InlineData("""{"trait": "level", "operator": "in", "value": [1, "two"]}""", """{"level": 1.0}""", true)]
    [InlineData("""{"trait": "level", "operator": "at_least", "value": 5}""", """{"level": 4}""", false)]
    [InlineData("""{"trait": "staff", "operator": "equals", "value": true}""", """{"staff": true}""", true)]
    public async Task A_rule_over_a_trait_of_the_exposure_leaves_out(string rule, string traits, bool isTest)
    {
        var (given, experiment) = await Running($$"""{"rules": [{{rule}}]}""");

        await given.Send(await Exposure(given, experiment, "user-1", traits), await Exposure(given, experiment, "sure", "{}"));

        var counted = await given.Counted(experiment);
        // The other one has no traits at all, which a negated condition holds for.
        var negated = rule.Contains("not_", StringComparison.Ordinal);
        counted["excluded"]["test_identity"]!.GetValue<int>().ShouldBe((isTest ? 1 : 0) + (negated ? 1 : 0));
        counted["total"].GetValue<int>().ShouldBe((isTest ? 0 : 1) + (negated ? 0 : 1));
    }

    [Fact]
    public async Task One_rule_of_several_is_enough_and_the_short_form_is_one_of_them()
    {
        var (given, experiment) = await Running(
            """
            {"trait": "email", "values": ["qa@example.com"],
             "rules": [{"trait": "plan", "operator": "equals", "value": "internal"},
                 {"trait": "ip", "operator": "contains", "value": "10."}]}
            """
        );

        await given.Send(
            await Exposure(given, experiment, "a", """{"email": "qa@example.com"}"""),
            await Exposure(given, experiment, "b", """{"plan": "internal"}"""),
            await Exposure(given, experiment, "c", """{"ip": "10.0.0.1"}"""),
            await Exposure(given, experiment, "d", """{"ip": "192.0.2.1", "plan": "pro", "email": "d@example.com"}""")
        );

        var counted = await given.Counted(experiment);
        counted["excluded"]["test_identity"]!.GetValue<int>().ShouldBe(3);
        counted["total"].GetValue<int>().ShouldBe(1);
    }

    [Theory]
    [InlineData("""{"rules": []}""", "exposure.test_identities.rules")]
    [InlineData("""{"rules": [null]}""", "exposure.test_identities.rules[0].trait", "exposure.test_identities.rules[0].operator")]
    [InlineData("""{"rules": [{"operator": "exists"}]}""", "exposure.test_identities.rules[0].trait")]
    [InlineData("""{"rules": [{"trait": "a", "operator": "is"}]}""", "exposure.test_identities.rules[0].operator")]
    [InlineData("""{"rules": [{"trait": "a", "operator": "matches", "value": "("}]}""", "exposure.test_identities.rules[0].operator")]
    [InlineData("""{"rules": [{"trait": "a", "operator": "exists"}], "trait": "b"}""", "exposure.test_identities.values")]
    [InlineData("{}", "exposure.test_identities.trait", "exposure.test_identities.values")]
    public async Task What_is_no_rule_is_named(string tests, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Post(given.Experiments, Body(tests))).MustName(fields);
    }

    private static string Body(string tests) =>
        $$$"""
            {"name": "n", "hypothesis": "h", "feature": {"name": "f-{{{Guid.NewGuid():N}}}"},
             "exposure": {"test_identities": {{{tests}}} } }
            """;

    private async Task<(Given, Reply)> Running(string tests)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = (await given.Admin.Post(given.Experiments, Body(tests))).Must(201);
        return (given, await given.Start(experiment));
    }

    private static async Task<JsonObject> Exposure(Given given, Reply experiment, string identifier, string traits) =>
        new()
        {
            ["event"] = "$flag_exposure",
            ["feature_name"] = experiment["feature"]["name"]!.GetValue<string>(),
            ["identifier"] = identifier,
            ["timestamp"] = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            ["value"] = experiment["variants"][
                Assignment.Variant(await given.Salt(experiment), identifier, Assignment.Cumulate([50, 50]))
            ]!["key"]!.GetValue<string>(),
            ["traits"] = JsonNode.Parse(traits),
        };
}
