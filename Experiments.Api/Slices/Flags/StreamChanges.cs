using System.Buffers;
using System.Globalization;
using System.Text;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>
/// Tells a client, for as long as it is connected, that flags have changed (server-sent events). Each change is told twice, as Flagsmith's
/// SDKs and as OpenFeature's providers read it; each of them ignores the other.
/// </summary>
internal static class StreamChanges
{
    // A change just before a client has connected may have come after it had asked for its flags.
    private static readonly TimeSpan Recent = TimeSpan.FromSeconds(30);

    private const string Example = """
        id: 1f
        event: environment_updated
        data: {"updated_at":1795348800.5}

        id: 1f
        data: {"type":"refetchEvaluation"}
        """;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Get, "/sse/environments/{key}/stream", Handle, source: KeySource.Path)
            .WithOperation("streamChanges", "Be told when flags change (server-sent events)")
            .ReturnsFile("text/event-stream", Example);

    private static async Task Handle(HttpContext http, Snapshot snapshot)
    {
        var services = http.RequestServices;
        var (streams, snapshots) = (services.GetRequiredService<ChangeStreams>(), services.GetRequiredService<Snapshots>());
        if (!streams.TryEnter(snapshot.EnvironmentId))
        {
            await BufferedResponse.Of(Problem.Unavailable).ExecuteAsync(http);
            return;
        }

        try
        {
            var response = http.Response;
            response.ContentType = "text/event-stream";
            response.Headers.CacheControl = "no-store";
            // Some proxies would keep events until they have enough of them.
            response.Headers["X-Accel-Buffering"] = "no";
            await Follow(http, (string)http.GetRouteValue("key")!, Last(http.Request), streams, snapshots);
        }
        catch (OperationCanceledException)
        {
            // The client has gone.
        }
        finally
        {
            streams.Leave(snapshot.EnvironmentId);
        }
    }

    private static async Task Follow(HttpContext http, string key, string? last, ChangeStreams streams, Snapshots snapshots)
    {
        var body = http.Response.BodyWriter;
        while (true)
        {
            // Asked for before the snapshot is read, so that no change falls in between.
            var next = streams.Next(key);
            if (await snapshots.Find(key, http.RequestAborted) is not { } snapshot)
            {
                return;
            }

            var id = snapshot.Fingerprint.ToString("x32", CultureInfo.InvariantCulture);
            if (id != last && (last is not null || snapshot.Age < Recent))
            {
                body.Write(Encoding.UTF8.GetBytes(Message(id)));
            }
            else
            {
                // A comment, which keeps the connection alive.
                body.Write(":\n\n"u8);
            }

            last = id;
            await body.FlushAsync(http.RequestAborted);
            if (await next.WaitAsync(http.RequestAborted) is ChangeStreams.Signal.Over)
            {
                return;
            }
        }
    }

    private static string Message(string id) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"id: {id}\nevent: environment_updated\ndata: {{\"updated_at\":{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0}}}\n\n"
        ) + $"id: {id}\ndata: {{\"type\":\"refetchEvaluation\"}}\n\n";

    // What a browser that has lost its connection was told last.
    private static string? Last(HttpRequest request) =>
        request.Headers["Last-Event-ID"] is [{ Length: > 0 } header] ? header
        : request.Query["lastEventId"] is [{ Length: > 0 } queried] ? queried
        : null;
}
