using System.Text.RegularExpressions;
using Microsoft.Playwright;

namespace Experiments.Tests.Pages;

/// <summary>From a flag to a verdict, as somebody does it with a mouse.</summary>
public class LoopTests(TestService service, Browser browser) : IClassFixture<TestService>, IClassFixture<Browser>
{
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task An_experiment_is_made_started_watched_and_shipped()
    {
        var given = await Given.AnEnvironment(service);
        await given.Send(
            new
            {
                @event = "purchase",
                identifier = "before",
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            }
        );
        await using var tab = await browser.Open(service, $"Api-Key {TestService.AdminKey}");
        await tab.Goto($"/app/{given.Key}/experiments");
        await tab.Says("No experiment yet");

        await tab.Link("New experiment").First.ClickAsync();
        await tab.Button("Next").ClickAsync();
        await tab.Says("Give it a name.");
        await tab.Page.GetByLabel("Name").FillAsync("Green button");
        await tab.Page.GetByLabel("Hypothesis").FillAsync("If the button is green, more visitors buy, because they see it.");
        await tab.Button("Next").ClickAsync();

        await tab.Page.GetByLabel("Name of the flag").FillAsync("button_colour");
        await tab.Page.Locator("#key-1").FillAsync("green");
        await tab.Page.Locator("#value-1").FillAsync("green");
        await tab.Page.Locator("#weight-1").FillAsync("60");
        await tab.Button("Save and go on").ClickAsync();
        await tab.Says("must sum to 100");
        await tab.Button("Split evenly").ClickAsync();
        await tab.Button("Save and go on").ClickAsync();

        await tab.Says("100 % of identities take part");
        await tab.Screenshot("wizard-who");
        await tab.Button("Next").ClickAsync();
        await tab.Page.GetByLabel("Metric", new() { Exact = true }).SelectOptionAsync("new");
        await tab.Page.Locator("#metric-name").FillAsync("Purchases");
        await tab.Page.Locator("#metric-event").FillAsync("purchase");
        await tab.Says("Received 1 times");
        await tab.Screenshot("wizard-metrics");
        await tab.Button("Make and attach").ClickAsync();
        await Assertions.Expect(tab.Button("Remove Purchases")).ToBeVisibleAsync();
        await tab.Button("Next").ClickAsync();
        await tab.Says("A primary metric: Purchases");
        await tab.Says("How many identities does it take?");
        // Once the answer is there, too.
        await tab.Page.WaitForLoadStateAsync(LoadState.NetworkIdle);
        await tab.Says("is it in the code?");
        await tab.Screenshot("wizard-review");
        await tab.Button("Start the experiment…").ClickAsync();
        await tab.InDialog("Start").ClickAsync();

        await tab.Says("Waiting for the first exposure…");
        await tab.Says(given.Key);
        var id = await service.Query<long>(
            "SELECT x.id FROM experiments x JOIN environments e ON e.id = x.environment_id WHERE e.key = @Key AND x.status = 'running'",
            new { given.Key }
        );
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        var events = new List<object>();
        for (var n = 0; n < 1000; n++)
        {
            var variant = (await given.Sdk.Post("/ofrep/v1/evaluate/flags/button_colour", new { context = new { targetingKey = $"u{n}" } }))
                .Must(200)
                .Json!["variant"]!.GetValue<string>();
            events.Add(
                new
                {
                    @event = "$flag_exposure",
                    feature_name = "button_colour",
                    identifier = $"u{n}",
                    value = variant,
                    timestamp = at,
                }
            );
            if (n % 10 < (variant == "green" ? 4 : 2))
            {
                events.Add(
                    new
                    {
                        @event = "purchase",
                        identifier = $"u{n}",
                        timestamp = at + 1,
                    }
                );
            }
        }

        await given.Send([.. events]);
        await Given.Eventually(async () =>
            (await given.Admin.Get($"{given.Experiments}{id}/exposures/")).Must(200)["events_not_counted"].GetValue<int>() == 0
        );
        (await given.Admin.Post($"{given.Experiments}{id}/results/refresh/")).Must(202);
        // The page notices by itself.
        await Assertions.Expect(tab.Main).ToContainTextAsync("Ship “green”", new() { Timeout = 30_000 });
        await tab.Link("Exposures and health").ClickAsync();
        await tab.Says("As meant.");

        await tab.Button("Pause…").ClickAsync();
        await tab.InDialog("Pause").ClickAsync();
        await Assertions.Expect(tab.Heading).ToContainTextAsync("Paused");
        await tab.Button("Resume…").ClickAsync();
        await tab.InDialog("Resume").ClickAsync();
        await Assertions.Expect(tab.Heading).ToContainTextAsync("Running");

        await tab.Button("Complete…").ClickAsync();
        await Assertions.Expect(tab.Page.GetByLabel("Conclusion")).ToHaveValueAsync("won");
        await tab.Page.Locator("#ship").SelectOptionAsync("control");
        await Assertions.Expect(tab.Page.GetByRole(AriaRole.Dialog)).ToContainTextAsync("This is not what the results recommend");
        await Assertions.Expect(tab.InDialog("Complete")).ToBeDisabledAsync();
        await tab.Page.Locator("#ship").SelectOptionAsync("green");
        await tab.InDialog("Complete").ClickAsync();

        await Assertions.Expect(tab.Heading).ToContainTextAsync("Completed");
        await tab.Says("“green” was shipped");
        (
            await service.Query<(string Status, string Conclusion, string Shipped)>(
                "SELECT status, conclusion, shipped_variant FROM experiments WHERE id = @id",
                new { id }
            )
        ).ShouldBe(("completed", "won", "green"));
        (await given.Admin.Get(given.Features)).Must(200)["results"][0]!["initial_value"]!.GetValue<string>().ShouldBe("green");
        tab.Problems.ShouldBeEmpty();
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_viewer_sees_and_cannot_act()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.Start(await given.AnExperiment());
        var key = (
            await given.Admin.Post($"/api/v1/environments/{given.Key}/api-keys/", new { name = "viewer", scopes = new[] { "read" } })
        )
            .Must(201)["key"]
            .GetValue<string>();
        await using var tab = await browser.Open(service, $"Api-Key {key}");

        await tab.Goto($"/app/{given.Key}/experiments");
        await tab.Says("Green button");
        await Assertions.Expect(tab.Link("New experiment")).ToHaveCountAsync(0);
        await tab.Link("Green button").ClickAsync();
        await tab.Says("Waiting for the first exposure…");
        await Assertions.Expect(tab.Main.GetByRole(AriaRole.Button, new() { NameRegex = new Regex("…$") })).ToHaveCountAsync(0);
        await tab.Goto($"/app/{given.Key}/experiments/new");
        await tab.Says("Only editors make experiments");
        await tab.Goto($"/app/{given.Key}/audit");
        await tab.Says("Only admins read the audit log");
        await tab.Goto($"/app/{given.Key}/settings");
        await tab.Says("Only admins manage access");
        await tab.Goto("/app/another/experiments");
        await tab.Says("There is no such environment");
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200)["status"].GetValue<string>().ShouldBe("running");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_thousand_experiments_are_listed_page_by_page_and_the_address_says_which()
    {
        var given = await Given.AnEnvironment(service);
        await given.AnExperiment();
        await service.Execute(
            """
            WITH made AS (
                INSERT INTO features (project_id, name, options, default_value)
                SELECT e.project_id, 'flag_' || n, '[{"id": 1, "key": "green", "value": "green"}]', '"blue"'
                FROM environments e, generate_series(1, 1000) n WHERE e.key = @Key
                RETURNING id, name, project_id
            )
            SELECT count(*) FROM made
            """,
            new { given.Key }
        );
        await service.Execute(
            """
            INSERT INTO experiments (environment_id, feature_id, name, hypothesis, variants, created_by)
            SELECT e.id, f.id, 'Experiment ' || f.name, 'h',
                '[{"key": "control", "value": "blue", "weight": 50}, {"key": "green", "value": "green", "weight": 50}]', 'test'
            FROM features f JOIN environments e ON e.project_id = f.project_id WHERE e.key = @Key AND f.name LIKE 'flag_%'
            """,
            new { given.Key }
        );
        await using var tab = await browser.Open(service, $"Api-Key {TestService.AdminKey}");

        await tab.Goto($"/app/{given.Key}/experiments?page=3");
        await tab.Says("Page 3 of 41");
        await Assertions.Expect(tab.Page.Locator("tbody tr")).ToHaveCountAsync(25);
        await tab.Link("Next").ClickAsync();
        await tab.Says("Page 4 of 41");
        tab.Page.Url.ShouldEndWith("page=4");
        await tab.Page.GoBackAsync();
        await tab.Says("Page 3 of 41");
        await tab.Page.Locator("#q").FillAsync("flag_77");
        await Assertions.Expect(tab.Page.Locator("tbody tr")).ToHaveCountAsync(11);
        tab.Page.Url.ShouldContain("q=flag_77");
        await tab.Page.ReloadAsync();
        await Assertions.Expect(tab.Page.Locator("tbody tr")).ToHaveCountAsync(11);
        await tab.Link("Running").ClickAsync();
        await tab.Says("Nothing matches");
        await tab.Link("Clear the filter").ClickAsync();
        await tab.Says("Page 1 of 41");
        tab.Problems.ShouldBeEmpty();
    }
}
