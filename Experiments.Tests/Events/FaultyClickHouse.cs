using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Experiments.Tests.Events;

/// <summary>
/// Passes requests on to a server of ClickHouse, or does what a replica does that cannot: is dead, hangs up once, hangs, breaks an answer
/// off in its middle, or answers with the number of an error.
/// </summary>
internal sealed class FaultyClickHouse : IAsyncDisposable
{
    private static readonly HttpClient Http = new();

    private readonly WebApplication _app;
    private readonly int _target;
    private int _requests;
    private int _answers;

    private FaultyClickHouse(WebApplication app, int target) => (_app, _target) = (app, target);

    /// <summary>What is wrong with it; null for nothing.</summary>
    public string? Fault { get; set; }

    public int Port { get; private set; }

    public int Requests => Volatile.Read(ref _requests);

    /// <summary>How many requests it has passed on.</summary>
    public int Answers => Volatile.Read(ref _answers);

    public static async Task<FaultyClickHouse> Start(int target)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        var app = builder.Build();
        var server = new FaultyClickHouse(app, target);
        app.Run(server.Answer);
        await app.StartAsync();
        server.Port = new Uri(app.Urls.Single()).Port;
        return server;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task Answer(HttpContext context)
    {
        Interlocked.Increment(ref _requests);
        switch (Fault)
        {
            case "dead":
                context.Abort();
                return;
            case "hang up":
                Fault = null;
                context.Abort();
                return;
            case "hang":
                await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                return;
            case { } code when int.TryParse(code, CultureInfo.InvariantCulture, out _):
                context.Response.StatusCode = 500;
                context.Response.Headers["X-ClickHouse-Exception-Code"] = code;
                await context.Response.WriteAsync($"Code: {code}. DB::Exception: as the test wants it");
                return;
        }

        using var request = new HttpRequestMessage(
            HttpMethod.Post,
            new Uri($"http://127.0.0.1:{_target}{context.Request.Path}{context.Request.QueryString}")
        )
        {
            Content = new StreamContent(context.Request.Body),
        };
        foreach (var (name, value) in context.Request.Headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value))
            {
                request.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value);
            }
        }

        request.Headers.Host = null;
        using var response = await Http.SendAsync(request);
        var body = await response.Content.ReadAsByteArrayAsync();
        Interlocked.Increment(ref _answers);
        context.Response.StatusCode = (int)response.StatusCode;
        foreach (var (name, value) in response.Headers.Where(header => header.Key.StartsWith("X-ClickHouse", StringComparison.Ordinal)))
        {
            context.Response.Headers[name] = value.ToArray();
        }

        if (Fault == "break")
        {
            await context.Response.Body.WriteAsync(body.AsMemory(0, body.Length / 2));
            await context.Response.Body.FlushAsync();
            context.Abort();
            return;
        }

        await context.Response.Body.WriteAsync(body);
    }
}
