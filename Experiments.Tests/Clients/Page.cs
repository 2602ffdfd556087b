using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Experiments.Tests.Clients;

/// <summary>A page with a module, served from an address of its own, as the page of a customer is.</summary>
internal sealed class Page : IAsyncDisposable
{
    private readonly WebApplication _site;
    private readonly TaskCompletionSource _ready;

    private Page(WebApplication site, TaskCompletionSource ready) => (_site, _ready) = (site, ready);

    /// <summary>Ends when the page has asked for <c>/ready</c>.</summary>
    public Task IsReady => _ready.Task.WaitAsync(TimeSpan.FromSeconds(30));

    public string Address => _site.Urls.First();

    /// <summary>Serves a page.</summary>
    /// <param name="module">The JavaScript of the page.</param>
    /// <param name="body">The HTML of the page.</param>
    /// <param name="packages">The files of npm packages, by the names under which they are imported.</param>
    public static async Task<Page> Serve(string module, string body = "", params (string Name, string File)[] packages)
    {
        var site = WebApplication
            .CreateSlimBuilder([
                "--urls=http://127.0.0.1:0",
                "--Logging:LogLevel:Default=None",
                "--Logging:LogLevel:Microsoft.Hosting.Lifetime=None",
            ])
            .Build();
        var imports = JsonSerializer.Serialize(
            new { imports = packages.ToDictionary(package => package.Name, package => $"/packages/{package.File}") }
        );
        site.MapGet(
            "/",
            () =>
                TypedResults.Content(
                    $"<!doctype html><meta charset=\"utf-8\"><link rel=\"icon\" href=\"data:,\">"
                        + $"<script type=\"importmap\">{imports}</script><body>{body}<script type=\"module\">{module}</script>",
                    "text/html"
                )
        );
        site.MapGet(
            "/packages/{**file}",
            (string file) => TypedResults.PhysicalFile(Path.Combine(NodeClients.Packages, file), "text/javascript")
        );
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        site.MapGet(
            "/ready",
            () =>
            {
                ready.TrySetResult();
                return TypedResults.Ok();
            }
        );
        await site.StartAsync();
        return new Page(site, ready);
    }

    /// <summary>What the page puts into <c>globalThis.said</c> in Chromium. It must be refused nothing.</summary>
    /// <param name="seconds">How long it may take.</param>
    /// <param name="how">How its user leaves then: <c>navigate</c> or <c>close</c>, or stays.</param>
    public async Task<JsonNode> Says(int seconds = 30, string how = "")
    {
        var said = JsonNode.Parse(await NodeClients.Run("browse.mjs", Address, $"{seconds}", how))!;
        said["refused"]!.AsArray().Select(refused => refused!.GetValue<string>()).ShouldBeEmpty();
        return said["said"]!;
    }

    public async ValueTask DisposeAsync()
    {
        await _site.StopAsync();
        await _site.DisposeAsync();
    }
}
