namespace Experiments.Tests.Clients;

/// <summary>SDKs in a browser that are told of a started experiment.</summary>
public class PushClientTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private readonly NodeClients _ = clients;

    private string Address => service.Address.GetLeftPart(UriPartial.Authority);

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Flagsmiths_SDK_has_the_variant_a_second_after_the_start()
    {
        var (given, experiment, name) = await Created();
        await using var page = await Page.Serve(
            $$"""
            import { createFlagsmithInstance } from '@flagsmith/flagsmith/isomorphic';
            const flagsmith = createFlagsmithInstance();
            await flagsmith.init({
              environmentID: '{{given.Key}}', api: '{{Address}}/api/v1/', identity: 'user-1', realtime: true,
              eventSourceUrl: '{{Address}}/',
              onChange: () => flagsmith.getState().flags['{{name}}'].variant && (globalThis.said = Date.now()),
            });
            fetch('/ready');
            """,
            packages: ("@flagsmith/flagsmith/isomorphic", "@flagsmith/flagsmith/isomorphic.mjs")
        );

        (await Took(given, experiment, page)).ShouldBeLessThan(TimeSpan.FromSeconds(1.5));
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task OpenFeatures_web_provider_has_the_variant_a_second_after_the_start()
    {
        var (given, experiment, name) = await Created();
        await using var page = await Page.Serve(
            $$"""
            import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';
            import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
            const headers = [['X-Environment-Key', '{{given.Key}}']];
            const provider = new OFREPWebProvider({ baseUrl: '{{Address}}', headers, pollInterval: 0 });
            await OpenFeature.setProviderAndWait(provider, { targetingKey: 'user-1' });
            const client = OpenFeature.getClient();
            client.addHandler(ProviderEvents.ConfigurationChanged, () =>
              client.getStringDetails('{{name}}', '').variant && (globalThis.said = Date.now()));
            fetch('/ready');
            """,
            packages:
            [
                ("@openfeature/core", "@openfeature/core/dist/esm/index.js"),
                ("@openfeature/web-sdk", "@openfeature/web-sdk/dist/esm/index.js"),
                ("@openfeature/ofrep-core", "@openfeature/ofrep-web-provider/node_modules/@openfeature/ofrep-core/index.esm.js"),
                ("@openfeature/ofrep-web-provider", "@openfeature/ofrep-web-provider/index.esm.js"),
            ]
        );

        (await Took(given, experiment, page)).ShouldBeLessThan(TimeSpan.FromSeconds(1.5));
    }

    private async Task<(Given, Reply, string Feature)> Created()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        await given.Served(flags: 1);
        return (given, experiment, SeenByClient.Feature(experiment));
    }

    // From the start of the experiment until the page has a variant.
    private static async Task<TimeSpan> Took(Given given, Reply experiment, Page page)
    {
        var said = page.Says();
        await page.IsReady;
        // The stream is connected a moment later.
        await Task.Delay(1500);
        (await given.Act(experiment.Id, "start")).Must(200);
        var started = DateTimeOffset.UtcNow;
        return DateTimeOffset.FromUnixTimeMilliseconds((await said).GetValue<long>()) - started;
    }
}
