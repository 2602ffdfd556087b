using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>Servers that evaluate by themselves (flagsmith-nodejs) and browsers that ask: both see the same.</summary>
public class FlagsmithLocalTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private const int Identities = 1000;

    private readonly NodeClients _ = clients;

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData(100)]
    [InlineData(37.5)]
    [InlineData(0)]
    public async Task A_thousand_identities_have_the_same_value_inside_and_outside_of_a_server(double rollout)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                """
                {"name": "n", "hypothesis": "h", "hashing": "flagsmith", "feature": {"name": "button_colour", "variants": [
                    {"key": "control", "value": "blue", "weight": 20}, {"key": "green", "value": "green", "weight": 33.3},
                    {"key": "red", "value": "red", "weight": 46.7}]}}
                """
            )
        ).Must(201);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = rollout })).Must(200);
        await given.Start(experiment);
        var key = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "server", scopes = new[] { "read" } })).Must(201)["key"];

        var seen = JsonNode
            .Parse(
                await NodeClients.Run(
                    "flagsmith-local.mjs",
                    service.Address.GetLeftPart(UriPartial.Authority),
                    $"ser.{key}",
                    "button_colour",
                    $"{Identities}"
                )
            )!
            .AsObject();

        var taking = 0;
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        var events = new List<object>();
        foreach (var (identifier, flag) in seen)
        {
            var evaluated = (await given.Evaluate(experiment["feature"], identifier)).Must(200);
            flag!["value"]!.GetValue<string>().ShouldBe(evaluated["value"].GetValue<string>(), identifier);
            flag["enabled"]!.GetValue<bool>().ShouldBeTrue();
            if (evaluated.Json!["variant"]?.GetValue<string>() is { } variant)
            {
                taking++;
                events.Add(
                    new
                    {
                        @event = "$flag_exposure",
                        feature_name = "button_colour",
                        identifier,
                        value = variant,
                        timestamp = at,
                    }
                );
            }
        }

        // And what was served is what is counted.
        taking.ShouldBeInRange((int)(10 * rollout) - 60, (int)(10 * rollout) + 60);
        if (taking > 0)
        {
            await given.Send([.. events]);
            await Given.Eventually(async () => (await given.Exposures(experiment))["total"].GetValue<int>() == taking);
        }
    }
}
