using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Platform.Data;
using Microsoft.Playwright;

namespace Experiments.Bench;

/// <summary>How soon the results of an experiment are on the screen, and how much comes over the wire for them.</summary>
internal static class PagesBenchmark
{
    private const int Turns = 9;

    public static async Task Run()
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        var postgres = new EmbeddedPostgres(directory);
        System.Diagnostics.Process? service = null;
        try
        {
            await postgres.Start(CancellationToken.None);
            var address = Machine.FreeAddress();
            service = Machine.Start(
                "Experiments.Api.dll",
                [],
                address,
                ("ConnectionStrings__Experiments", postgres.ConnectionString),
                ("Demo__Enabled", "true")
            );
            await Machine.FirstAnswer($"{address}/health/ready");
            var page = await Demo(address);
            await using var source = DatabaseSetup.Source(postgres.ConnectionString);
            var machine = await Machine.Describe(source);
            using var playwright = await Playwright.CreateAsync();
            await using var browser = await playwright.Chromium.LaunchAsync(
                new() { ExecutablePath = Environment.GetEnvironmentVariable("CHROMIUM") ?? "/usr/bin/chromium", Args = ["--no-sandbox"] }
            );
            var turns = new List<(double Painted, int Bytes)>();
            for (var turn = 0; turn < Turns; turn++)
            {
                turns.Add(await Open(browser, $"{address}{page}"));
            }

            var painted = turns.Select(turn => turn.Painted).Order().ToList();
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"\n{machine}; the decision on an experiment is on the screen after {painted[Turns / 2]:0} ms (median of {Turns} new"
                        + $" browsers, {painted[0]:0} to {painted[^1]:0}), with {turns[^1].Bytes / 1000.0:0} kB over the wire.\n"
                )
            );
        }
        finally
        {
            await Machine.Stop(service);
            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    // The address of the page with the winner, once the demo is there.
    private static async Task<string> Demo(string address)
    {
        using var client = new HttpClient { BaseAddress = new Uri(address) };
        client.DefaultRequestHeaders.Authorization = new("Api-Key", Machine.AdminKey);
        for (; ; await Task.Delay(500))
        {
            var projects = (await client.GetFromJsonAsync<JsonNode>("/api/v1/projects/"))!["results"]!.AsArray();
            if (projects is [{ } project] && project["organisation"]!.GetValue<string>() == "Demo")
            {
                var environments = await client.GetFromJsonAsync<JsonNode>($"/api/v1/projects/{project["id"]}/environments/");
                return $"/app/{environments!["results"]![0]!["key"]!.GetValue<string>()}/experiments/1";
            }
        }
    }

    private static async Task<(double Painted, int Bytes)> Open(IBrowser browser, string address)
    {
        // Waiting for the page is a script that its content policy would refuse.
        var context = await browser.NewContextAsync(new() { BypassCSP = true });
        await context.AddInitScriptAsync($"sessionStorage.setItem('experiments.credential', 'Api-Key {Machine.AdminKey}')");
        // From the beginning of the navigation to the frame in which the decision stands.
        await context.AddInitScriptAsync(
            """
            new MutationObserver((_, observer) => {
              if (!document.querySelector('.decision')) return;
              observer.disconnect();
              requestAnimationFrame(() => requestAnimationFrame(() => (window.painted = performance.now())));
            }).observe(document, { childList: true, subtree: true });
            """
        );
        var page = await context.NewPageAsync();
        var responses = new List<IResponse>();
        page.Response += (_, response) => responses.Add(response);
        await page.GotoAsync(address);
        var painted = await (await page.WaitForFunctionAsync("window.painted")).JsonValueAsync<double>();
        await page.WaitForLoadStateAsync(LoadState.NetworkIdle);
        var bytes = 0;
        foreach (var response in responses)
        {
            bytes += (await response.Request.SizesAsync()).ResponseBodySize;
        }

        await context.DisposeAsync();
        return (painted, bytes);
    }
}
