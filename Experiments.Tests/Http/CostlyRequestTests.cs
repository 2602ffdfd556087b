using System.Net.Sockets;
using System.Text;

namespace Experiments.Tests.Http;

/// <summary>Requests of a megabyte at most, that cost the service and its other callers no more than any other.</summary>
public class CostlyRequestTests(SharedService service) : IClassFixture<SharedService>
{
    private const int LargestAnswer = 64 * 1024;

    [Theory]
    [InlineData("/api/v1/analysis/adjust/", """{"method": "holm", "p_values": [ITEMS]}""", "9", 500_000, "p_values")]
    [InlineData("/api/v1/analysis/adjust/", """{"method": "holm", "p_values": [ITEMS]}""", "9", 15_000, "p_values")]
    [InlineData(
        "/api/v1/analysis/compare/",
        """{"kind": "mean", "control": {"n": 1, "sum": 1, "sum_squares": 1}, "treatments": [ITEMS]}""",
        "{}",
        15_000,
        "treatments"
    )]
    [InlineData(
        "metrics/",
        """{"name": "m", "aggregation": "count", "definition": {"event": "e", "filters": [ITEMS]}}""",
        "null",
        200_000,
        "definition.filters"
    )]
    [InlineData(
        "metrics/",
        """{"name": "m", "aggregation": "count", "definition": {"event": "e", "filters": [ITEMS]}}""",
        "null",
        15_000,
        "definition.filters"
    )]
    [InlineData(
        "metrics/",
        """{"name": "m", "aggregation": "funnel", "definition": {"steps": [ITEMS]}}""",
        "{}",
        300_000,
        "definition.steps"
    )]
    [InlineData(
        "metrics/",
        """{"name": "m", "aggregation": "funnel", "definition": {"steps": [ITEMS]}}""",
        "{}",
        15_000,
        "definition.steps"
    )]
    [InlineData(
        "metrics/",
        """{"name": "m", "aggregation": "count", "definition": {"event": "e", "filters": [{"property": "value", "operator": "in","""
            + """ "value": [ITEMS]}]}}""",
        "1",
        400_000,
        "definition.filters[0].value"
    )]
    [InlineData("features/", """{"name": "f", "multivariate_options": [ITEMS]}""", "{}", 15_000, "multivariate_options")]
    [InlineData("features/import/", """{"feature_states": [ITEMS]}""", "{}", 15_000, "feature_states")]
    [InlineData(
        "features/import/",
        """{"feature_states": [{"feature": {"name": "f"}, "multivariate_feature_state_values": [ITEMS]}]}""",
        "{}",
        15_000,
        "feature_states[0].multivariate_feature_state_values"
    )]
    [InlineData(
        "experiments/",
        """{"name": "e", "hypothesis": "h", "feature": {"name": "f", "variants": [ITEMS]}}""",
        "{}",
        15_000,
        "feature.variants"
    )]
    [InlineData("experiments/", """{"name": "e", "hypothesis": "h", "feature": 1, "variants": [ITEMS]}""", "{}", 15_000, "variants")]
    [InlineData("experiments/", """{"name": "e", "hypothesis": "h", "feature": 1, "metrics": [ITEMS]}""", "{}", 15_000, "metrics")]
    [InlineData(
        "experiments/",
        """{"name": "e", "hypothesis": "h", "feature": 1, "exposure": {"test_identities": {"trait": "t", "values": [ITEMS]}}}""",
        "null",
        15_000,
        "exposure.test_identities.values"
    )]
    public async Task A_list_that_is_too_long_is_not_looked_into(string path, string body, string item, int items, string field)
    {
        var given = await Given.AnEnvironment(service);

        var reply = await service.Admin.PostText(
            path.StartsWith('/') ? path : $"{given.Root}/{path}",
            body.Replace("ITEMS", string.Join(',', Enumerable.Repeat(item, items)), StringComparison.Ordinal)
        );

        reply.MustBe(400, "request.invalid").Fields.ShouldContain(field);
        reply.Fields.Count.ShouldBeLessThanOrEqualTo(2);
        reply.Text.Length.ShouldBeLessThan(2000);
    }

    [Theory]
    [InlineData(1000, 200)]
    [InlineData(1001, 400)]
    [InlineData(300_000, 400)]
    public async Task An_identity_has_a_thousand_traits_at_most(int traits, int status)
    {
        var given = await Given.AnEnvironment(service);

        var reply = await given.Sdk.PostText(
            "/api/v1/identities/",
            $$"""{"identifier": "a", "traits": [{{string.Join(',', Enumerable.Repeat("{}", traits))}}]}"""
        );

        reply.Must(status);
        reply.Text.Length.ShouldBeLessThan(LargestAnswer + 64);
        if (status == 400)
        {
            reply.MustName("traits");
        }
    }

    [Fact]
    public async Task A_hundred_mistakes_are_told_and_no_more()
    {
        var given = await Given.AnEnvironment(service);

        var reply = (
            await service.Admin.PostText(
                given.Metrics,
                $$"""{{{string.Join(',', Enumerable.Range(0, 30_000).Select(n => $"\"member{n}\": 1"))}}}"""
            )
        ).MustBe(400, "request.invalid");
        var events = (
            await given.Sdk.PostText(
                "/v1/events",
                $$"""{"events": [{{string.Join(',', Enumerable.Repeat($$"""{"{{new string('x', 400)}}": 1}""", 10_000))}}]}"""
            )
        ).MustBe(400, "request.invalid");

        foreach (var refused in new[] { reply, events })
        {
            refused.Fields.Count.ShouldBe(100);
            refused["detail"].GetValue<string>().ShouldContain("Only the first 100");
            refused.Text.Length.ShouldBeLessThan(LargestAnswer);
        }
    }

    [Fact]
    public async Task Of_the_events_that_are_refused_all_are_counted_and_a_hundred_told()
    {
        var given = await Given.AnEnvironment(service);

        var reply = (
            await given.Sdk.PostText(
                "/v1/events",
                $$"""{"events": [{"event": "e", "timestamp": {{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()}}},"""
                    + $$""" {{string.Join(',', Enumerable.Repeat("{}", 9999))}}]}"""
            )
        ).Must(202);

        reply["accepted"].GetValue<int>().ShouldBe(1);
        reply["rejected_count"].GetValue<int>().ShouldBe(9999);
        reply["rejected"].AsArray().Count.ShouldBe(100);
        reply.Text.Length.ShouldBeLessThan(LargestAnswer);
    }

    [Fact]
    public async Task Large_bodies_of_one_environment_are_limited_and_those_of_others_come_through()
    {
        var given = await Given.AnEnvironment(service);
        var others = await Given.AnEnvironment(service);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        var value = new string('x', 4000);
        string Event(int n, int e) => $$"""{"event": "e", "identifier": "{{n}}-{{e}}", "value": "{{value}}", "timestamp": {{at}}}""";
        string Body(int n) => $$"""{"events": [{{string.Join(',', Enumerable.Range(0, 800).Select(e => Event(n, e)))}}]}""";
        string[] bodies = [.. Enumerable.Range(0, 12).Select(Body)];

        var sent = bodies.Select(body => given.Sdk.PostText("/v1/events", body)).ToList();
        var meanwhile = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(n => others.Sdk.PostText("/v1/events", n < 2 ? Body(n) : $$"""{"events": [{{Event(n, 0)}}]}"""))
        );
        var replies = await Task.WhenAll(sent);

        replies.Count(reply => reply.Code == 202).ShouldBeGreaterThan(0);
        replies.ShouldAllBe(reply => reply.Code == 202 || reply.Code == 429 || reply.Code == 503);
        replies.Where(reply => reply.Code == 429).ShouldAllBe(reply => reply.Headers.RetryAfter != null);
        meanwhile.ShouldAllBe(reply => reply.Code == 202);
    }

    [Fact]
    public async Task A_name_of_a_megabyte_is_not_echoed()
    {
        var given = await Given.AnEnvironment(service);
        var name = new string('x', 900_000);

        (await service.Admin.PostText(given.Metrics, $$"""{"{{name}}": 1}"""))
            .MustBe(400, "request.invalid")
            .Text.Length.ShouldBeLessThan(2000);
        (await given.Sdk.PostText("/v1/events", $$"""{"{{name}}": 1}""")).MustBe(400, "request.invalid").Text.Length.ShouldBeLessThan(2000);
        (
            await given.Sdk.PostText(
                "/v1/events",
                $$"""{"events": [{"event": "e", "timestamp": {{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()}}}, {"{{name}}": 1}]}"""
            )
        )
            .Must(202)
            .Text.Length.ShouldBeLessThan(2000);
    }

    [Fact]
    public async Task The_openapi_document_is_put_together_once_and_known_by_its_tag()
    {
        var anyone = service.As(null);
        var first = (await anyone.Get("/openapi/v1.json")).Must(200);

        (await anyone.Get("/openapi/v1.json")).Must(200).Text.ShouldBe(first.Text);
        (await anyone.Get("/openapi/v1.json", ("If-None-Match", first.ETag.ShouldNotBeNull()))).Must(304);
    }

    [Fact]
    public async Task What_a_body_says_it_will_have_keeps_no_other_out()
    {
        var (attacked, honest) = (await Given.AnEnvironment(service), await Given.AnEnvironment(service));
        object[] one = [new { @event = "e", timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() }];
        (await honest.SendAny(one)).Must(202);
        var sockets = await Task.WhenAll(
            Enumerable
                .Range(0, 200)
                .Select(async _ =>
                {
                    var socket = new TcpClient();
                    await socket.ConnectAsync(service.Address.Host, service.Address.Port);
                    await socket
                        .GetStream()
                        .WriteAsync(
                            Encoding.ASCII.GetBytes(
                                $"POST /v1/events HTTP/1.1\r\nHost: {service.Address.Authority}\r\nX-Environment-Key:"
                                    + $" {attacked.Key}\r\nContent-Type: application/json\r\nContent-Length: 5242880\r\n\r\n{{\"events\":["
                            )
                        );
                    return socket;
                })
        );

        // A second in which they give a little from time to time, and others everything.
        var trickling = Task.WhenAll(
            sockets.Select(async socket =>
            {
                for (var piece = 0; piece < 4; piece++)
                {
                    await Task.Delay(250);
                    await socket.GetStream().WriteAsync(new byte[200]);
                }
            })
        );
        var replies = new List<Reply>();
        while (!trickling.IsCompleted)
        {
            replies.AddRange(
                await Task.WhenAll(
                    Enumerable
                        .Range(0, 10)
                        .Select(n =>
                            honest.SendAny(
                                new
                                {
                                    @event = "e",
                                    identifier = $"{replies.Count}-{n}",
                                    timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
                                }
                            )
                        )
                )
            );
        }

        foreach (var socket in sockets)
        {
            socket.Dispose();
        }

        replies.Count.ShouldBeGreaterThan(10);
        replies.ShouldAllBe(reply => reply.Code == 202);
    }
}
