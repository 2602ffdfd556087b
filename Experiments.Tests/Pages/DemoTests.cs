using System.Globalization;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Pages;

/// <summary>The seeded world, in the database and as the pages show it.</summary>
public class DemoTests(DemoService service, Browser browser) : IClassFixture<DemoService>, IClassFixture<Browser>
{
    public static TheoryData<string, string, string> States { get; } =
        new()
        {
            { "One-page checkout", "ship", "Ship “one_page”" },
            { "Product recommendations", "keep_running", "Keep running" },
            { "New search ranking", "fix_the_experiment", "Fix the experiment" },
            { "Upsell in the cart", "keep_control", "Keep control" },
            { "Free shipping banner", "ship", "Ship “banner” · final" },
        };

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [MemberData(nameof(States))]
    public async Task A_state_is_shown_as_the_API_has_it_number_by_number(string name, string action, string title)
    {
        var id = await service.Id(name);
        var results = (await service.Admin.Get($"{service.Experiments}{id}/results/")).Must(200);
        results["recommendation"]["action"]!.GetValue<string>().ShouldBe(action);
        await using var tab = await browser.Open(service, DemoService.Credential);

        await tab.Goto(service.Page($"experiments/{id}"));

        await tab.Says(title);
        foreach (var reason in results["recommendation"]["reasons"]!.AsArray())
        {
            await tab.Says(reason!["text"]!.GetValue<string>());
        }

        await tab.Says(results["total"].GetValue<int>().ToString("N0", CultureInfo.InvariantCulture));
        foreach (var metric in results["metrics"].AsArray())
        {
            var body = tab.Page.Locator($"#metric-{metric!["metric"]}");
            foreach (var (n, arm) in metric["treatments"]!.AsArray().Index())
            {
                var row = (await body.Locator("tr").Nth(n).InnerTextAsync()).ReplaceLineEndings(" ");
                row.ShouldContain(arm!["key"]!.GetValue<string>());
                row.ShouldContain(Effect(arm["effect"]));
                row.ShouldContain(Chance(arm["bayesian"]?["chance_to_win"]));
                var value = metric["arms"]![n + 1]!;
                row.ShouldContain(value["n"]!.GetValue<int>().ToString("N0", CultureInfo.InvariantCulture));
                if (arm["sequential"]?["ci"] is JsonArray bounds)
                {
                    row.ShouldContain($"{Effect(bounds[0])} to {Effect(bounds[1])}");
                }
            }
        }

        tab.Problems.ShouldBeEmpty();
        await tab.Screenshot($"state-{action}-{id}");
        if (name == "One-page checkout" && CommittedFile.IsAccepting)
        {
            await tab.Page.ScreenshotAsync(new() { Path = Path.Combine(Repository.Root, "docs", "results.png") });
        }
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Each_experiment_has_a_history_of_its_days_and_nobody_else_is_touched()
    {
        var days = await service.QueryAll<(string Name, int Days, int Ran)>(
            """
            SELECT e.name, count(h.day)::int, (extract(epoch FROM COALESCE(e.ended_at, now()) - e.started_at) / 86400)::int
            FROM experiments e LEFT JOIN results_history h ON h.experiment_id = e.id GROUP BY e.id ORDER BY e.id
            """
        );

        days.Count.ShouldBe(5);
        days.ShouldAllBe(one => one.Days >= one.Ran && one.Days <= one.Ran + 1);
        (await service.Query<long>("SELECT count(DISTINCT identifier) FROM events")).ShouldBeInRange(19_000, 22_000);
        // The key with which it was filled opens nothing any more.
        (await service.Query<long>("SELECT count(*) FROM api_keys WHERE name LIKE 'demo%' AND revoked_at IS NULL")).ShouldBe(0);
        (await service.Query<long>("SELECT count(*) FROM exposures WHERE counts_in = -1")).ShouldBeInRange(300, 600);
    }

    private static string Effect(JsonNode? effect) =>
        effect is null
            ? "–"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{(effect.GetValue<double>() < 0 ? '−' : '+')}{Math.Abs(effect.GetValue<double>()) * 100:0.0} %"
            );

    private static string Chance(JsonNode? chance) =>
        chance?.GetValue<double>() switch
        {
            null => "–",
            > 0.99 => "> 99 %",
            < 0.01 => "< 1 %",
            var share => $"{Math.Round(share.Value * 100, MidpointRounding.AwayFromZero)} %",
        };
}
