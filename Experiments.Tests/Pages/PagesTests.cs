using System.Text.RegularExpressions;
using Experiments.Api.Platform.Pages;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Playwright;

namespace Experiments.Tests.Pages;

/// <summary>The pages, in a real browser.</summary>
public partial class PagesTests(DemoService service, Browser browser) : IClassFixture<DemoService>, IClassFixture<Browser>
{
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Whoever_signs_in_with_a_key_stays_for_the_tab()
    {
        await using var tab = await browser.Open(service, null);
        await tab.Goto("/");
        await Assertions.Expect(tab.Page).ToHaveURLAsync(Address("/app/$"));

        await tab.Page.GetByLabel("API key").FillAsync("exp_wrong");
        await tab.Button("Sign in with the key").ClickAsync();
        await tab.Says("This key is not known");
        await tab.Page.GetByLabel("API key").FillAsync(TestService.AdminKey);
        await tab.Button("Sign in with the key").ClickAsync();

        await tab.Says("One-page checkout");
        await Assertions.Expect(tab.Page).ToHaveURLAsync(Address("/experiments$"));
        (await tab.Page.EvaluateAsync<bool>("Object.values(localStorage).some(value => value.includes('exp_'))")).ShouldBeFalse();
        await tab.Page.ReloadAsync();
        await tab.Says("One-page checkout");
        await tab.Button("Sign out").ClickAsync();
        await tab.Says("API key");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_printed_address_signs_in_once()
    {
        var address = $"/app/sign-in#{service.Services.GetRequiredService<SignInCodes>().Issue(TestService.AdminKey)}";
        await using var first = await browser.Open(service, null);
        await first.Goto(address);
        await first.Says("One-page checkout");
        first.Page.Url.ShouldNotContain("#");

        await using var second = await browser.Open(service, null);
        await second.Goto(address);
        await second.Says("This address has been used");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task No_page_keeps_anybody_out_in_either_theme()
    {
        await using var tab = await browser.Open(service, DemoService.Credential);
        var ids = await service.QueryAll<long>("SELECT id FROM experiments ORDER BY id");
        string[] paths =
        [
            "experiments",
            "experiments?q=nothing+at+all",
            .. ids.Select(id => $"experiments/{id}"),
            $"experiments/{ids[0]}/results?open=1",
            $"experiments/{ids[2]}/exposures",
            $"experiments/{ids[4]}/setup",
            $"experiments/{ids[4]}/history",
            "experiments/new",
            "experiments/new?step=flag",
            "metrics",
            "metrics/1",
            "metrics/new",
            "flags",
            "holdouts",
            "audit",
            "settings",
            "how",
            "nothing",
        ];
        var barriers = new List<string>();
        foreach (var (n, path) in paths.Index())
        {
            await tab.Goto(service.Page(path));
            await Assertions.Expect(tab.Main.Locator("h1, h2").First).ToBeVisibleAsync();
            await tab.Page.WaitForLoadStateAsync(LoadState.NetworkIdle);
            foreach (var theme in new[] { ColorScheme.Light, ColorScheme.Dark })
            {
                await tab.Page.EmulateMediaAsync(new() { ColorScheme = theme });
                barriers.AddRange(await tab.Barriers($"{path} {theme}"));
                await tab.Screenshot($"page-{n:00}-{theme}");
            }
        }

        barriers.ShouldBeEmpty();
        tab.Problems.ShouldBeEmpty();
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_phone_shows_everything_without_scrolling_sideways()
    {
        await using var tab = await browser.Open(service, DemoService.Credential, width: 390);
        var id = await service.Id("Upsell in the cart");
        foreach (
            var path in new[]
            {
                "experiments",
                $"experiments/{id}",
                $"experiments/{id}/exposures",
                $"experiments/{id}/setup",
                "metrics",
                "settings",
            }
        )
        {
            await tab.Goto(service.Page(path));
            await Assertions.Expect(tab.Heading).ToBeVisibleAsync();
            await tab.Page.WaitForLoadStateAsync(LoadState.NetworkIdle);
            (await tab.Page.EvaluateAsync<int>("document.documentElement.scrollWidth")).ShouldBeLessThanOrEqualTo(390, path);
            await tab.Screenshot($"phone-{path.Replace('/', '-')}");
        }
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Everything_can_be_done_with_the_keyboard()
    {
        await using var tab = await browser.Open(service, DemoService.Credential);
        await tab.Goto(service.Page("experiments"));
        await tab.Says("Upsell in the cart");

        await tab.Page.Keyboard.PressAsync("/");
        await tab.Page.Keyboard.TypeAsync("upsell");
        await Assertions.Expect(tab.Page).ToHaveURLAsync(Address(@"q=upsell"));
        await Assertions.Expect(tab.Link("One-page checkout")).ToHaveCountAsync(0);
        await Reach(tab, "Upsell in the cart");
        await tab.Page.Keyboard.PressAsync("Enter");
        await tab.Says("Keep control");
        await Reach(tab, "Refunds");
        await tab.Page.Keyboard.PressAsync("Enter");
        await tab.Says("Effect over time");
        await tab.Page.GoBackAsync();
        await tab.Says("Experiments");

        await tab.Goto(service.Page($"experiments/{await service.Id("Upsell in the cart")}"));
        await tab.Says("Keep control");
        await Reach(tab, "Pause…");
        await tab.Page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(tab.Page.GetByRole(AriaRole.Dialog)).ToBeVisibleAsync();
        for (var n = 0; n < 6; n++)
        {
            await tab.Page.Keyboard.PressAsync("Tab");
            (
                await tab.Page.EvaluateAsync<bool>(
                    "!document.activeElement || document.activeElement === document.body || !!document.activeElement.closest('dialog')"
                )
            ).ShouldBeTrue();
        }

        await tab.Page.Keyboard.PressAsync("Escape");
        await Assertions.Expect(tab.Page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
        (await tab.Page.EvaluateAsync<string>("document.activeElement.textContent")).ShouldBe("Pause…");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task The_results_page_is_small_and_nothing_comes_from_elsewhere()
    {
        await using var tab = await browser.Open(service, DemoService.Credential);
        var responses = new List<IResponse>();
        tab.Page.Response += (_, response) => responses.Add(response);
        await tab.Goto(service.Page($"experiments/{await service.Id("One-page checkout")}"));
        await tab.Says("Ship “one_page”");
        await tab.Page.WaitForLoadStateAsync(LoadState.NetworkIdle);

        var bytes = 0;
        foreach (var response in responses)
        {
            response.Url.ShouldStartWith(service.Address.GetLeftPart(UriPartial.Authority));
            bytes += (await response.Request.SizesAsync()).ResponseBodySize;
        }

        bytes.ShouldBeLessThan(150_000);
        var policy = responses[0].Headers["content-security-policy"];
        policy.ShouldContain("script-src 'self';");
        policy.ShouldNotContain("unsafe");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_failure_of_the_API_is_said_and_what_is_asked_again_comes_back()
    {
        await using var tab = await browser.Open(service, DemoService.Credential);
        var answer = 503;
        await tab.Page.RouteAsync(
            Address("/experiments/[?]"),
            async route =>
            {
                if (answer == 0)
                {
                    await Task.Delay(1500);
                }

                if (answer is 0 or 200)
                {
                    await route.ContinueAsync();
                    return;
                }

                await route.FulfillAsync(
                    new()
                    {
                        Status = answer,
                        ContentType = "application/problem+json",
                        Body =
                            answer == 503 ? """{"code":"service.unavailable","detail":"The database is unavailable.","trace_id":"abc"}"""
                            : answer == 403 ? """{"code":"access.denied","detail":"No access."}"""
                            : """{"code":"gate.closed","detail":"There is no such route."}""",
                    }
                );
            }
        );

        await tab.Goto(service.Page("experiments"));
        await tab.Says("The database is unavailable.");
        await tab.Says("abc");
        answer = 200;
        // By itself, after a moment.
        await tab.Says("One-page checkout");

        answer = 403;
        await tab.Page.ReloadAsync();
        await tab.Says("Ask an admin of the project");
        answer = 404;
        await tab.Page.ReloadAsync();
        await tab.Says("Ask its operator to open the gate");
        answer = 0;
        await tab.Page.ReloadAsync();
        await Assertions.Expect(tab.Page.GetByRole(AriaRole.Status).First).ToBeVisibleAsync();
        await tab.Says("One-page checkout");
    }

    // By the tabulator, as somebody does who has no mouse.
    private static async Task Reach(Tab tab, string name)
    {
        for (var n = 0; n < 80; n++)
        {
            await tab.Page.Keyboard.PressAsync("Tab");
            if ((await tab.Page.EvaluateAsync<string>("document.activeElement.textContent")).Trim().TrimStart('▸', '▾') == name)
            {
                return;
            }
        }

        throw new InvalidOperationException($"“{name}” cannot be reached with the keyboard.");
    }

    private static Regex Address(string pattern) => new(pattern);
}
