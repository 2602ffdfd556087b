using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>OpenFeature with openfeature-tracking: what it saw is what is counted, once, however often it is sent.</summary>
public class TrackingClientTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private readonly NodeClients _ = clients;

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_thousand_identities_count_once_as_what_they_saw()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await SeenByClient.AnExperiment(given, rollout: 80);

        var seen = JsonNode
            .Parse(
                await NodeClients.Run(
                    "tracking.mjs",
                    service.Address.GetLeftPart(UriPartial.Authority),
                    given.Key,
                    SeenByClient.Feature(experiment),
                    $"{SeenByClient.Identities}"
                )
            )!
            .AsObject()
            .ToDictionary(one => one.Key, one => one.Value?.GetValue<string>());

        await SeenByClient.ShouldBeCounted(given, experiment, seen);
        (await given.Stored())
            .Count(one => JsonNode.Parse(one)!["event"]!.GetValue<string>() == "$flag_exposure")
            .ShouldBe(seen.Values.Count(key => key is not null));
        var purchases = await SeenByClient.ShouldHavePurchased(given);
        purchases[0]["metadata"]!.ToJsonString().ShouldBe("""{"currency":"CHF"}""");
        purchases[0]["traits"]!.ToJsonString().ShouldBe("""{"plan":"pro"}""");
    }
}
