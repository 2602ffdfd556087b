using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>PostHog's SDKs, unmodified: what they saw is what is counted.</summary>
public class PostHogClientTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private static readonly (string, string) Sdk = ("posthog-js", "posthog-js/dist/module.js");

    private readonly NodeClients _ = clients;

    private string Address => service.Address.GetLeftPart(UriPartial.Authority);

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData(100, 0)]
    [InlineData(80, 10)]
    public async Task On_a_server_a_thousand_identities_count_as_what_they_saw(int rollout, int holdout)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await SeenByClient.AnExperiment(given, rollout, holdout);

        var seen = JsonNode
            .Parse(
                await NodeClients.Run("posthog.mjs", Address, given.Key, SeenByClient.Feature(experiment), $"{SeenByClient.Identities}")
            )!
            .AsObject()
            .ToDictionary(identity => identity.Key, identity => identity.Value!);

        await SeenByClient.ShouldBeCounted(given, experiment, seen.ToDictionary(one => one.Key, one => Text(one.Value["variant"])));
        foreach (var (identity, flag) in seen)
        {
            var evaluated = await given.Evaluate(experiment["feature"], identity);
            Text(flag["payload"]).ShouldBe(evaluated["value"].GetValue<string>(), identity);
            if (flag["all"] is { } all)
            {
                JsonNode.DeepEquals(all[SeenByClient.Feature(experiment)], flag["variant"]).ShouldBeTrue();
            }
        }

        await SeenByClient.ShouldHavePurchased(given);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task In_a_browser_a_thousand_identities_count_as_what_they_saw()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await SeenByClient.AnExperiment(given, rollout: 80, holdout: 10);
        await using var page = await Page.Serve(
            $$"""
            import posthog from 'posthog-js';
            const seen = {};
            const one = n => new Promise(done => posthog.init('{{given.Key}}', {
              api_host: '{{Address}}', persistence: 'memory', persistence_name: `store-${n}`,
              bootstrap: { distinctID: `user-${n}`, isIdentifiedID: true },
              capture_pageview: false, request_batching: n % 2 === 0,
              loaded: instance => instance.onFeatureFlags(() => {
                seen[`user-${n}`] = instance.getFeatureFlag('{{SeenByClient.Feature(experiment)}}');
                instance.capture('purchase', { value: n });
                done();
              }),
            }, `instance-${n}`));
            for (let n = 0; n < {{SeenByClient.Identities}}; n += 20) await Promise.all(Array.from({ length: 20 }, (_, i) => one(n + i)));
            await new Promise(resolve => setTimeout(resolve, 4000));
            globalThis.said = seen;
            """,
            packages: Sdk
        );

        var seen = (await page.Says(seconds: 240)).AsObject().ToDictionary(one => one.Key, one => Text(one.Value));

        await SeenByClient.ShouldBeCounted(given, experiment, seen);
        await SeenByClient.ShouldHavePurchased(given);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Whoever_signs_in_on_the_page_is_one_person()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("count", "purchases", new { @event = "purchase" });
        var experiment = await given.Start(await given.AnExperimentWith(new { metric = metric.Id }));
        await using var page = await Page.Serve(
            $$"""
            import posthog from 'posthog-js';
            const one = n => new Promise(done => posthog.init('{{given.Key}}', {
              api_host: '{{Address}}', persistence: 'memory', persistence_name: `store-${n}`, capture_pageview: false,
              loaded: instance => {
                let isKnown = false;
                instance.onFeatureFlags(() => {
                  const seen = instance.getFeatureFlag('{{SeenByClient.Feature(experiment)}}');
                  if (isKnown) return;
                  isKnown = true;
                  instance.identify(`user-${n}`);
                  instance.capture('purchase', { value: n });
                  done([instance.get_distinct_id(), seen]);
                });
              },
            }, `instance-${n}`));
            const said = [];
            for (let n = 0; n < 40; n += 10) said.push(...await Promise.all(Array.from({ length: 10 }, (_, i) => one(n + i))));
            await new Promise(resolve => setTimeout(resolve, 5000));
            globalThis.said = said;
            """,
            packages: Sdk
        );

        var seen = (await page.Says(seconds: 120)).AsArray().Select(one => Text(one![1])).ToList();

        await Given.Eventually(async () => (await given.Exposures(experiment))["total"].GetValue<int>() == 40);
        var counted = await given.Exposures(experiment);
        counted["excluded"].AsObject().Sum(reason => reason.Value!.GetValue<int>()).ShouldBe(0, counted.Text);
        foreach (var arm in (await given.Results(experiment, total: 40))["metrics"][0]!["arms"]!.AsArray())
        {
            // Each saw a variant before it signed in, and bought afterwards.
            arm!["n"]!.GetValue<int>().ShouldBe(seen.Count(variant => variant == arm["key"]!.GetValue<string>()));
            arm["sum"]!.GetValue<double>().ShouldBe(arm["n"]!.GetValue<int>());
        }

        (await service.QueryAll<string>("SELECT identifier FROM exposures WHERE experiment_id = @Id", new { experiment.Id })).ShouldAllBe(
            identifier => identifier.StartsWith("user-", StringComparison.Ordinal)
        );
    }

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("navigate")]
    [InlineData("close")]
    public async Task Whoever_leaves_at_once_is_counted(string how)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await SeenByClient.AnExperiment(given, rollout: 100);
        await using var page = await Page.Serve(
            $$"""
            import posthog from 'posthog-js';
            posthog.init('{{given.Key}}', { api_host: '{{Address}}' });
            posthog.onFeatureFlags(() => {
              globalThis.said = posthog.getFeatureFlag('{{SeenByClient.Feature(experiment)}}');
              posthog.capture('purchase', { value: 12.5 });
            });
            """,
            packages: Sdk
        );

        var variant = (await page.Says(how: how)).GetValue<string>();

        await Given.Eventually(async () => (await given.Exposures(experiment))["total"].GetValue<int>() == 1);
        (await given.Exposures(experiment))["variants"].AsArray().Single(one => one!["identities"]!.GetValue<int>() == 1)!["key"]!
            .GetValue<string>()
            .ShouldBe(variant);
        var events = (await given.Stored()).Select(one => JsonNode.Parse(one)!["event"]!.GetValue<string>()).ToList();
        events.Count(name => name == "purchase").ShouldBe(1);
        events.Count(name => name == "$pageview").ShouldBe(1);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task The_page_of_a_web_experiment_is_changed_as_the_variant_says_and_its_visitors_count()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.Start(
            (
                await given.Admin.Post(
                    given.Experiments,
                    new
                    {
                        name = "Headline",
                        hypothesis = "h",
                        type = "web",
                        feature = new
                        {
                            name = "headline",
                            variants = new object[]
                            {
                                new { key = "control", weight = 50 },
                                new
                                {
                                    key = "test",
                                    weight = 50,
                                    transforms = new object[]
                                    {
                                        new { selector = "h1", text = "Save <time> & money" },
                                        new { selector = ".price", html = "<b>5 CHF</b>" },
                                        new { selector = "#buy", css = "color: rgb(1, 2, 3)" },
                                    },
                                },
                            },
                        },
                    }
                )
            ).Must(201)
        );
        var visitors = await Task.WhenAll(new[] { "control", "test" }.Select(variant => AVisitorWith(variant)));

        foreach (var (variant, visitor) in new[] { "control", "test" }.Zip(visitors))
        {
            await using var page = await Page.Serve(
                $$"""
                import posthog from 'posthog-js';
                posthog.init('{{given.Key}}', {
                  api_host: '{{Address}}', persistence: 'memory', disable_web_experiments: false, capture_pageview: false,
                  bootstrap: { distinctID: '{{visitor}}', isIdentifiedID: true },
                });
                const asked = url => performance.getEntriesByType('resource').some(one => one.name.includes(url) && one.responseEnd > 0);
                for (let n = 0; n < 100 && !asked('/api/web_experiments'); n++) await new Promise(done => setTimeout(done, 100));
                await new Promise(done => setTimeout(done, 4000));
                const find = selector => document.querySelector(selector);
                globalThis.said = [find('h1').textContent, find('.price').innerHTML, getComputedStyle(find('#buy')).color];
                """,
                "<h1>Old</h1><p class=\"price\">6 CHF</p><button id=\"buy\" style=\"color: rgb(9, 9, 9)\">Buy</button>",
                Sdk
            );
            (await page.Says())
                .AsArray()
                .Select(Text)
                .ShouldBe(variant == "test" ? ["Save <time> & money", "<b>5 CHF</b>", "rgb(1, 2, 3)"] : ["Old", "6 CHF", "rgb(9, 9, 9)"]);
        }

        await Given.Eventually(async () => (await given.Exposures(experiment))["total"].GetValue<int>() == 2);
        (await given.Exposures(experiment))["variants"].AsArray().ShouldAllBe(one => one!["identities"]!.GetValue<int>() == 1);

        async Task<string> AVisitorWith(string variant)
        {
            for (var n = 0; ; n++)
            {
                if ((await given.Evaluate(experiment["feature"], $"visitor-{n}"))["variant"].GetValue<string>() == variant)
                {
                    return $"visitor-{n}";
                }
            }
        }
    }

    // A variant, or null for whoever was shown none.
    private static string? Text(JsonNode? variant) => variant is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
