using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>The pages of the service in a real browser.</summary>
public class PageTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private readonly NodeClients _ = clients;

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("/docs/", "Experiments", "Holdouts")]
    [InlineData("/errors", "Errors", "experiment.illegal_transition")]
    public async Task A_page_shows_what_it_is_for_and_the_browser_has_nothing_to_refuse(string path, string title, string text)
    {
        var page = JsonNode.Parse(await NodeClients.Run("page.mjs", new Uri(service.Address, path).ToString(), text))!;

        page["title"]!.GetValue<string>().ShouldContain(title);
        page["problems"]!.AsArray().ShouldBeEmpty();
    }
}
