using System.Net;
using System.Text.RegularExpressions;

namespace Experiments.Tests.Evaluation;

/// <summary>Clients that are told of changes instead of asking.</summary>
public class StreamTests(TestService service) : IClassFixture<TestService>
{
    [Fact]
    public async Task A_change_is_told_within_a_second_in_both_dialects()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        await given.Served(flags: 1);
        await using var stream = await Stream.Open(service, given.Key, "0");
        await stream.Message(IsOfOpenFeature);

        (await given.Act(experiment.Id, "start")).Must(200);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var told = await stream.Message(message => message.Contains("environment_updated", StringComparison.Ordinal));
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(1.5));

        Regex.IsMatch(told, "^id: [0-9a-f]{32}\nevent: environment_updated\ndata: {\"updated_at\":[0-9.]+}$").ShouldBeTrue(told);
        var other = await stream.Message(IsOfOpenFeature);
        Regex.IsMatch(other, "^id: [0-9a-f]{32}\ndata: {\"type\":\"refetchEvaluation\"}$").ShouldBeTrue(other);
        // What is served by then is what has been announced.
        (await given.Sdk.Get("/api/v1/flags/")).Text.ShouldContain("\"in_experiment\":false");
    }

    [Fact]
    public async Task Whoever_was_away_is_told_what_has_changed_and_whoever_missed_nothing_is_not()
    {
        var given = await Given.AnEnvironment(service);
        var feature = (await given.Admin.Post(given.Features, new { name = "f", enabled = false })).Must(201);
        await given.Served(flags: 1);
        string id;
        await using (var stream = await Stream.Open(service, given.Key, "0"))
        {
            await stream.Message(IsOfOpenFeature);
            (await given.Admin.Patch($"{given.Features}{feature.Id}/", new { enabled = true })).Must(200);
            id = Regex.Match(await stream.Message(message => message.StartsWith("id:", StringComparison.Ordinal)), "[0-9a-f]{32}").Value;
        }

        await using (var unchanged = await Stream.Open(service, given.Key, id))
        {
            (await unchanged.Message(_ => true)).ShouldBe(":");
        }

        (await given.Admin.Patch($"{given.Features}{feature.Id}/", new { enabled = false })).Must(200);
        await given.Served(flag => !flag["enabled"]!.GetValue<bool>());
        await using var back = await Stream.Open(service, given.Key, id);
        (await back.Message(_ => true)).ShouldContain("environment_updated");
    }

    [Fact]
    public async Task The_changes_of_another_environment_are_not_told()
    {
        var given = await Given.AnEnvironment(service);
        var other = await Given.AnEnvironment(service);
        await using var stream = await Stream.Open(service, given.Key, "0");
        await stream.Message(IsOfOpenFeature);

        (await other.Admin.Post(other.Features, new { name = "f" })).Must(201);
        await Task.Delay(600);
        (await given.Admin.Post(given.Features, new { name = "g" })).Must(201);

        (await stream.Message(_ => true)).ShouldContain("environment_updated");
        (await stream.Message(_ => true)).ShouldContain("refetchEvaluation");
    }

    [Fact]
    public async Task A_stream_is_for_whoever_has_a_key_and_says_where_it_is()
    {
        var given = await Given.AnEnvironment(service);
        (await service.As(null).Get("/sse/environments/none/stream")).MustBe(403, "environment_key.unknown");

        var bulk = (await given.Sdk.Post("/ofrep/v1/evaluate/flags", new { context = new { } })).Must(200);

        bulk["eventStreams"]
            .ToJsonString()
            .ShouldBe($$$"""[{"type":"sse","endpoint":{"requestUri":"/sse/environments/{{{given.Key}}}/stream"}}]""");
    }

    [Fact]
    public async Task A_service_that_stops_lets_its_streams_end()
    {
        var app = await TestService.Start(service.ConnectionString);
        var given = await Given.AnEnvironment(service);
        await using var stream = await Stream.Open(new Uri(app.Urls.First()), given.Key);
        await stream.Message(_ => true);

        var clock = System.Diagnostics.Stopwatch.StartNew();
        await app.StopAsync();
        await app.DisposeAsync();

        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(5));
        (await stream.IsOver()).ShouldBeTrue();
    }

    private static bool IsOfOpenFeature(string message) => message.Contains("refetchEvaluation", StringComparison.Ordinal);

    /// <summary>A connection that listens.</summary>
    private sealed class Stream : IAsyncDisposable
    {
        private readonly HttpClient _client = new();
        private HttpResponseMessage? _response;
        private StreamReader? _reader;

        public static Task<Stream> Open(TestService service, string key, string? last = null) => Open(service.Address, key, last);

        public static async Task<Stream> Open(Uri address, string key, string? last = null)
        {
            var stream = new Stream();
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(address, $"/sse/environments/{key}/stream"));
            request.Headers.Add("Origin", "https://shop.example");
            if (last is not null)
            {
                request.Headers.Add("Last-Event-ID", last);
            }

            stream._response = await stream._client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            stream._response.StatusCode.ShouldBe(HttpStatusCode.OK);
            stream._response.Content.Headers.ContentType!.MediaType.ShouldBe("text/event-stream");
            stream._response.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["*"]);
            stream._reader = new StreamReader(await stream._response.Content.ReadAsStreamAsync());
            return stream;
        }

        /// <summary>The next message like this: its lines.</summary>
        public async Task<string> Message(Func<string, bool> like)
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            for (var lines = new List<string>(); ; )
            {
                var line = await _reader!.ReadLineAsync(patience.Token) ?? throw new EndOfStreamException();
                if (line.Length > 0)
                {
                    lines.Add(line);
                }
                else if (like(string.Join('\n', lines)))
                {
                    return string.Join('\n', lines);
                }
                else
                {
                    lines.Clear();
                }
            }
        }

        public async Task<bool> IsOver()
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            while (await _reader!.ReadLineAsync(patience.Token) is not null)
            {
                // What was told before.
            }

            return true;
        }

        public ValueTask DisposeAsync()
        {
            _reader?.Dispose();
            _response?.Dispose();
            _client.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
