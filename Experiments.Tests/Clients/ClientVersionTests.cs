using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>Versions of clients that applications still have, and clients that are built on others.</summary>
public class ClientVersionTests(TestService service, ClientVersions versions) : IClassFixture<TestService>, IClassFixture<ClientVersions>
{
    private const int Identities = 1000;

    private readonly ClientVersions _ = versions;

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("flagsmith", "flagsmith")]
    [InlineData("flagsmith", "flagsmith-7")]
    [InlineData("flagsmith", "flagsmith-8")]
    [InlineData("flagsmith", "flagsmith-9")]
    [InlineData("flagsmith", "flagsmith-10")]
    [InlineData("flagsmith", "flagsmith-11")]
    [InlineData("flagsmith", "@flagsmith/flagsmith")]
    [InlineData("first", "flagsmith-nodejs-1")]
    [InlineData("server", "flagsmith-nodejs-2")]
    [InlineData("server", "flagsmith-nodejs-3")]
    [InlineData("server", "flagsmith-nodejs-4")]
    [InlineData("server", "flagsmith-nodejs-5")]
    [InlineData("server", "flagsmith-nodejs")]
    [InlineData("server", "flagsmith-nodejs-7")]
    [InlineData("server", "flagsmith-nodejs-8")]
    [InlineData("react", "@flagsmith/flagsmith/react")]
    [InlineData("openfeature-client", "@openfeature/flagsmith-client-provider")]
    [InlineData("openfeature-server", "@openfeature/flagsmith-provider")]
    [InlineData("openfeature-react", "@openfeature/react-sdk")]
    [InlineData("openfeature-multi", "@openfeature/multi-provider")]
    public async Task A_thousand_identities_count_as_what_they_saw(string kind, string module)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("sum", "revenue", new { @event = "purchase", property = "value" });
        var experiment = await given.Start(await given.AnExperimentWith(new { metric = metric.Id, expected_direction = "increase" }));
        var feature = experiment["feature"]["name"]!.GetValue<string>();
        await given.Served(flags: 1);

        var seen = JsonNode
            .Parse(
                await ClientVersions.Run(
                    kind,
                    module,
                    service.Address.GetLeftPart(UriPartial.Authority),
                    given.Key,
                    feature,
                    $"{Identities}"
                )
            )!
            .AsObject()
            .Select((identity, n) => (N: n, Value: identity.Value?.GetValue<string>()))
            .ToList();

        seen.Count.ShouldBe(Identities);
        seen.Select(identity => identity.Value).Distinct().Order().ShouldBe(["blue", "green"]);
        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(Identities);
        counted["excluded"].AsObject().ShouldAllBe(reason => reason.Value!.GetValue<int>() == 0);
        foreach (var arm in (await given.Results(experiment, total: Identities))["metrics"][0]!["arms"]!.AsArray())
        {
            var own = seen.Where(identity => identity.Value == (arm!["key"]!.GetValue<string>() == "control" ? "blue" : "green")).ToList();
            arm!["n"]!.GetValue<int>().ShouldBe(own.Count);
            arm["sum"]!.GetValue<double>().ShouldBe(own.Sum(identity => identity.N));
        }
    }
}

/// <summary>The npm project with those versions, installed once as its lock file has it.</summary>
public sealed class ClientVersions : IAsyncLifetime
{
    private const string Folder = "versions";

    public async ValueTask InitializeAsync() => await NodeClients.Install(Folder);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    internal static Task<string> Run(params string[] arguments) => NodeClients.RunIn(Folder, "run.mjs", arguments);
}
