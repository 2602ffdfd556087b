using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Experiments.Tests.Clients;

/// <summary>The files in docs/clients, as they stand there but for the address and the key.</summary>
public partial class DocumentedClientTests(SharedService service, NodeClients clients)
    : IClassFixture<SharedService>,
        IClassFixture<NodeClients>
{
    private static readonly (string, string)[] Packages =
    [
        ("posthog-js", "posthog-js/dist/module.js"),
        ("@growthbook/growthbook", "@growthbook/growthbook/dist/bundles/esm.js"),
        ("@flagsmith/flagsmith/isomorphic", "@flagsmith/flagsmith/isomorphic.mjs"),
        ("@openfeature/core", "@openfeature/core/dist/esm/index.js"),
        ("@openfeature/web-sdk", "@openfeature/web-sdk/dist/esm/index.js"),
        ("@openfeature/ofrep-core", "@openfeature/ofrep-web-provider/node_modules/@openfeature/ofrep-core/index.esm.js"),
        ("@openfeature/ofrep-web-provider", "@openfeature/ofrep-web-provider/index.esm.js"),
        ("openfeature-tracking", "openfeature-tracking/index.js"),
    ];

    private readonly NodeClients _ = clients;

    public static TheoryData<string, string> Files() =>
        [
            .. Directory
                .GetFiles(Path.Combine(Repository.Root, "docs", "clients"), "*.md")
                .Select(file => $"docs/clients/{Path.GetFileName(file)}")
                .Append("clients/openfeature-tracking/README.md")
                .SelectMany(file => Blocks().Matches(Repository.Read(file)).Select(block => (file, block.Groups["where"].Value))),
        ];

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [MemberData(nameof(Files))]
    public async Task A_file_runs_as_it_stands_and_counts(string page, string where)
    {
        var given = await Given.AnEnvironment(service);
        (
            await given.Admin.Post(
                given.Features,
                """
                {"name": "button_colour", "initial_value": "blue", "enabled": true,
                 "multivariate_options": [{"key": "green", "value": "green"}]}
                """
            )
        ).Must(201);
        var experiment = await given.Start(await Created(given));
        var module = Blocks()
            .Matches(Repository.Read(page))
            .Single(block => block.Groups["where"].Value == where)
            .Groups["code"]
            .Value.Replace("http://127.0.0.1:8080", service.Address.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal)
            .Replace("'KEY'", $"'{given.Key}'", StringComparison.Ordinal)
            .Replace("environment_key=KEY", $"environment_key={given.Key}", StringComparison.Ordinal);

        if (where == "page")
        {
            await using var site = await Page.Serve(
                module + "\nsetInterval(() => document.body.dataset.colour && (globalThis.said = document.body.dataset.colour), 20);",
                packages: Packages
            );
            (await site.Says(how: "navigate")).GetValue<string>().ShouldBeOneOf("blue", "green", "control");
        }
        else
        {
            await NodeClients.RunModule(module);
        }

        // One identity was shown its variant, and bought something.
        await Given.Eventually(async () => (await given.Exposures(experiment))["total"].GetValue<int>() == 1);
        (await given.Exposures(experiment))["excluded"].AsObject().ShouldAllBe(reason => reason.Value!.GetValue<int>() == 0);
        await Given.Eventually(async () =>
            (await given.Stored())
                .Select(one => JsonNode.Parse(one)!)
                .Count(one => one["event"]!.GetValue<string>() == "purchase" && one["value"]!.GetValue<string>() == "12.5") == 1
        );
    }

    private static async Task<Reply> Created(Given given)
    {
        var feature = (await given.Admin.Get($"{given.Features}?q=button_colour")).Must(200)["results"][0]!["id"]!.GetValue<long>();
        return (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "Green button",
                    hypothesis = "It sells more.",
                    feature,
                }
            )
        ).Must(201);
    }

    [GeneratedRegex("```js\n// (?<where>server|page)\n(?<code>.*?)```", RegexOptions.Singleline)]
    private static partial Regex Blocks();
}
