using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Experiments.Tests.Operation;

public class TelemetryTests(TestCluster cluster)
{
    [Fact]
    public async Task Requests_statements_and_the_runtime_are_exported_over_otlp()
    {
        var received = new ConcurrentDictionary<string, string>();
        await using var collector = await Collector(received);
        var app = await TestService.Start(
            await cluster.NewDatabase(),
            $"--OTEL_EXPORTER_OTLP_ENDPOINT={collector.Urls.First()}",
            "--OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "--OTEL_SERVICE_NAME=experiments-in-a-test"
        );
        (await new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}").Get("/api/v1/projects/?page_size=7")).Must(200);

        // What has not been sent yet is sent when the service stops.
        await app.StopAsync();
        await app.DisposeAsync();

        received["/v1/traces"].ShouldContain("experiments-in-a-test");
        received["/v1/traces"].ShouldContain("/api/v1/projects");
        received["/v1/traces"].ShouldContain("FROM projects");
        received["/v1/metrics"].ShouldContain("http.server.request.duration");
        received["/v1/metrics"].ShouldContain("db.client");
        received["/v1/metrics"].ShouldContain("dotnet.gc");
    }

    /// <summary>Keeps, by path, all that it is sent. Protobuf writes text as it is, so that it can be searched.</summary>
    private static async Task<WebApplication> Collector(ConcurrentDictionary<string, string> received)
    {
        var builder = WebApplication.CreateSlimBuilder(["--urls=http://127.0.0.1:0"]);
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.MapPost(
            "/v1/{signal}",
            async (HttpContext http) =>
            {
                using var body = new MemoryStream();
                await http.Request.Body.CopyToAsync(body);
                var text = Encoding.Latin1.GetString(body.ToArray());
                received.AddOrUpdate(http.Request.Path, text, (_, before) => before + text);
            }
        );
        await app.StartAsync();
        return app;
    }
}
