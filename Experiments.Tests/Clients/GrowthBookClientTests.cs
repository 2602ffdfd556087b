using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>GrowthBook's SDK, unmodified: what it saw is what is counted.</summary>
public class GrowthBookClientTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private readonly NodeClients _ = clients;

    private string Address => service.Address.GetLeftPart(UriPartial.Authority);

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task On_a_server_a_thousand_identities_count_as_what_they_saw()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await SeenByClient.AnExperiment(given, rollout: 80);

        var seen = JsonNode
            .Parse(
                await NodeClients.Run("growthbook.mjs", Address, given.Key, SeenByClient.Feature(experiment), $"{SeenByClient.Identities}")
            )!
            .AsObject();

        await Counted(given, experiment, seen);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task In_a_browser_a_thousand_identities_count_as_what_they_saw()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await SeenByClient.AnExperiment(given, rollout: 80);
        await using var page = await Page.Serve(
            $$"""
            import { GrowthBook } from '@growthbook/growthbook';
            const seen = {};
            const events = [];
            for (let n = 0; n < {{SeenByClient.Identities}}; n++) {
              const gb = new GrowthBook({
                apiHost: '{{Address}}', clientKey: '{{given.Key}}', remoteEval: true, attributes: { id: `user-${n}` },
                trackingCallback: (experiment, result) => events.push({
                  event: '$flag_exposure', feature_name: result.featureId, identifier: result.hashValue, value: result.key,
                  timestamp: Date.now(), metadata: { experiment_id: experiment.id },
                }),
              });
              await gb.init();
              const tracked = events.length;
              seen[`user-${n}`] = { value: gb.getFeatureValue('{{SeenByClient.Feature(
                experiment
            )}}', 'default'), tracked: events.length - tracked };
              gb.destroy();
            }
            await fetch('{{Address}}/v1/events?environment_key={{given.Key}}', { method: 'POST', body: JSON.stringify({ events }) });
            globalThis.said = seen;
            """,
            packages: ("@growthbook/growthbook", "@growthbook/growthbook/dist/bundles/esm.js")
        );

        await Counted(given, experiment, (await page.Says(seconds: 120)).AsObject());
    }

    private static async Task Counted(Given given, Reply experiment, JsonObject seen)
    {
        seen.Count.ShouldBe(SeenByClient.Identities);
        var counted = await SeenByClient.Counted(given, experiment);
        counted["excluded"].AsObject().ShouldAllBe(reason => reason.Value!.GetValue<int>() == 0);
        counted["total"].GetValue<int>().ShouldBe(seen.Sum(one => one.Value!["tracked"]!.GetValue<int>()));
        foreach (var variant in counted["variants"].AsArray().Where(variant => variant!["key"]!.GetValue<string>() != "control"))
        {
            variant!["identities"]!
                .GetValue<int>()
                .ShouldBe(seen.Count(one => one.Value!["value"]!.GetValue<string>() == variant["key"]!.GetValue<string>()));
        }
    }
}
