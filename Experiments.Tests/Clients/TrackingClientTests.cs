using System.Globalization;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>OpenFeature with openfeature-tracking: what it saw is what is counted, once, however often it is sent.</summary>
public class TrackingClientTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private const int Identities = 1000;

    private readonly NodeClients _ = clients;

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_thousand_identities_count_once_as_what_they_saw()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment("green", "red");
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 80 })).Must(200);
        await given.Start(experiment);

        var seen = JsonNode
            .Parse(
                await NodeClients.Run(
                    "tracking.mjs",
                    service.Address.GetLeftPart(UriPartial.Authority),
                    given.Key,
                    experiment["feature"]["name"]!.GetValue<string>(),
                    $"{Identities}"
                )
            )!
            .AsObject()
            .ToDictionary(one => one.Key, one => one.Value?.GetValue<string>());

        Reply? counted = null;
        await Given.Eventually(async () => (counted = await given.Exposures(experiment))["events_not_counted"].GetValue<int>() == 0);
        counted!["excluded"].AsObject().ShouldAllBe(reason => reason.Value!.GetValue<int>() == 0);
        foreach (var variant in counted["variants"].AsArray())
        {
            variant!["identities"]!.GetValue<int>().ShouldBe(seen.Values.Count(key => key == variant["key"]!.GetValue<string>()));
        }

        var stored = (await given.Stored()).Select(one => JsonNode.Parse(one)!).ToList();
        stored.Count(one => one["event"]!.GetValue<string>() == "$flag_exposure").ShouldBe(seen.Values.Count(key => key is not null));
        var purchases = stored.Where(one => one["event"]!.GetValue<string>() == "purchase").ToList();
        purchases
            .Select(one => (one["identifier"]!.GetValue<string>(), one["value"]!.GetValue<string>()))
            .Order()
            .ShouldBe(Enumerable.Range(0, Identities).Select(n => ($"user-{n}", n.ToString(CultureInfo.InvariantCulture))).Order());
        purchases[0]["metadata"]!.ToJsonString().ShouldBe("""{"currency":"CHF"}""");
        purchases[0]["traits"]!.ToJsonString().ShouldBe("""{"plan":"pro"}""");
    }
}
