using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Experiments.Tests.Clients;

/// <summary>The snippet of the README in a real browser, whose user leaves a second after having been shown a variant.</summary>
public class LeavingBrowserTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private readonly NodeClients _ = clients;

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("navigate")]
    [InlineData("close")]
    public async Task Whoever_leaves_after_a_second_is_counted(string how)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.Start(await given.AnExperiment());
        await using var site = await Serve(Snippet(given, experiment["feature"]["name"]!.GetValue<string>()));

        var variant = (await NodeClients.Run("leave.mjs", site.Address, how)).Trim();

        Reply? counted = null;
        await Given.Eventually(
            async () => (counted = await given.Exposures(experiment))["total"].GetValue<int>() == 1,
            TimeSpan.FromSeconds(5)
        );
        counted!["variants"].AsArray().Single(each => each!["identities"]!.GetValue<int>() == 1)!["key"]!
            .GetValue<string>()
            .ShouldBe(variant);
        await Given.Eventually(async () =>
            await service.Query<long>(
                "SELECT count(*) FROM events v JOIN environments e ON e.id = v.environment_id WHERE e.key = @Key AND event = "
                    + "'purchase' AND value = '12.50'",
                new { given.Key }
            ) == 1
        );
    }

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("navigate", "JSON.stringify(")]
    [InlineData("close", "JSON.stringify(")]
    [InlineData("close", "new URLSearchParams({ data: JSON.stringify(")]
    public async Task A_beacon_arrives_without_a_preflight(string how, string form)
    {
        var given = await Given.AnEnvironment(service);
        var snippet = Regex
            .Match(Repository.Read("docs/api.md"), "```js\n(?<code>const events = .*?)```", RegexOptions.Singleline)
            .Groups["code"]
            .Value;
        snippet.ShouldContain("JSON.stringify({ events: events.splice(0) })");
        snippet = snippet
            .Replace("http://127.0.0.1:8080", service.Address.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal)
            .Replace("KEY", given.Key, StringComparison.Ordinal);
        if (form != "JSON.stringify(")
        {
            snippet = snippet.Replace(
                "JSON.stringify({ events: events.splice(0) })",
                $"{form}{{ events: events.splice(0) }}) }})",
                StringComparison.Ordinal
            );
        }

        await using var site = await Serve(
            snippet
                + "\nevents.push({ event: 'left & gone', identifier: 'caf\u00e9+1', value: '100 %', timestamp: Date.now() });"
                + "\ndocument.title = 'ready';"
        );

        await NodeClients.Run("leave.mjs", site.Address, how);

        await Given.Eventually(async () => (await given.Stored()).Count == 1, TimeSpan.FromSeconds(5));
        var stored = JsonNode.Parse((await given.Stored()).Single())!;
        (stored["event"]!.GetValue<string>(), stored["identifier"]!.GetValue<string>(), stored["value"]!.GetValue<string>()).ShouldBe(
            ("left & gone", "caf\u00e9+1", "100 %")
        );
    }

    // As it stands in the README, but for the address, the key and the feature.
    private string Snippet(Given given, string feature)
    {
        var snippet = Regex
            .Match(Repository.Read("README.md"), "```js\n(?<code>import \\{ createFlagsmithInstance.*?)```", RegexOptions.Singleline)
            .Groups["code"]
            .Value;
        snippet.ShouldContain("button_colour");
        return snippet
                .Replace("http://127.0.0.1:8080", service.Address.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal)
                .Replace("KEY", $"'{given.Key}'", StringComparison.Ordinal)
                .Replace("button_colour", feature, StringComparison.Ordinal) + "\ndocument.title = variant;";
    }

    private static Task<Page> Serve(string module) =>
        Page.Serve(module, packages: ("@flagsmith/flagsmith/isomorphic", "@flagsmith/flagsmith/isomorphic.mjs"));
}
