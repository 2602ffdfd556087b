using System.Text;

namespace Experiments.Tests.Http;

public class RequestTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("")]
    [InlineData("/")]
    public async Task A_trailing_slash_is_optional(string slash)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        (await given.Admin.Get(given.Experiments.TrimEnd('/') + slash)).Must(200);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}{slash}")).Must(200);
        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/start{slash}")).Must(200);
    }

    [Fact]
    public async Task What_is_not_served_is_404_and_a_method_that_is_not_is_405_with_those_that_are()
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Get("/api/v1/nothing")).MustBe(404, "route.not_found");
        var put = (await given.Admin.Send(HttpMethod.Put, $"{given.Experiments}1/", null)).MustBe(405, "method.not_allowed");
        put.ContentHeaders.Allow.ShouldBe(["GET", "PATCH", "DELETE"], ignoreOrder: true);
        (await given.Admin.Get($"{given.Experiments}1/start/")).MustBe(405, "method.not_allowed").ContentHeaders.Allow.ShouldBe(["POST"]);
        (await given.Admin.Send(new HttpMethod("BREW"), given.Experiments, null)).MustBe(405, "method.not_allowed");
    }

    [Fact]
    public async Task Head_answers_like_get_without_the_body()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        var get = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
        var head = (await given.Admin.Send(HttpMethod.Head, $"{given.Experiments}{experiment.Id}/", null)).Must(200);

        head.Text.ShouldBeEmpty();
        head.ETag.ShouldBe(get.ETag);
        head.ContentHeaders.ContentLength.ShouldBe(get.ContentHeaders.ContentLength);
    }

    [Fact]
    public async Task A_request_id_is_echoed_when_it_is_one_and_made_when_it_is_not()
    {
        string Id(Reply reply) => reply.Headers.GetValues("X-Request-Id").Single();

        Id(await service.Admin.Get("/api/v1/projects/", ("X-Request-Id", "abc-1.2_3"))).ShouldBe("abc-1.2_3");
        Id(await service.Admin.Get("/api/v1/projects/", ("X-Request-Id", "a b"))).Length.ShouldBe(32);
        Id(await service.Admin.Get("/api/v1/projects/", ("X-Request-Id", new string('a', 129)))).Length.ShouldBe(32);
        Id(await service.As(null).Get("/nowhere")).Length.ShouldBe(32);
    }

    [Fact]
    public async Task A_trace_that_is_given_is_continued()
    {
        const string TraceId = "0af7651916cd43dd8448eb211c80319c";

        var reply = await service.As(null).Get("/api/v1/projects/", ("traceparent", $"00-{TraceId}-b7ad6b7169203331-01"));

        reply["trace_id"].GetValue<string>().ShouldBe(TraceId);
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/merge-patch+json")]
    [InlineData("application/json; charset=bogus")]
    [InlineData("application/json; charset=utf-7")]
    [InlineData("application/json; charset=iso-8859-1")]
    [InlineData("nonsense")]
    [InlineData(null)]
    public async Task A_body_that_is_not_json_in_utf8_is_415(string? contentType)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Send(HttpMethod.Post, given.Features, Client.Bytes("""{"name": "x"}"""u8.ToArray(), contentType))).MustBe(
            415,
            "media_type.unsupported"
        );
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("APPLICATION/JSON; charset=UTF-8")]
    [InlineData("application/json; charset=\"utf-8\"")]
    public async Task However_it_is_spelt_json_in_utf8_is_taken(string contentType)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Send(HttpMethod.Post, given.Features, Client.Bytes("""{"name": "x"}"""u8.ToArray(), contentType))).Must(201);
    }

    [Fact]
    public async Task A_patch_may_call_itself_a_merge_patch()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        var body = Client.Bytes("""{"name": "merged"}"""u8.ToArray(), "application/merge-patch+json");

        (await given.Admin.Send(HttpMethod.Patch, $"{given.Experiments}{experiment.Id}/", body))
            .Must(200)["name"]
            .GetValue<string>()
            .ShouldBe("merged");
    }

    [Fact]
    public async Task A_compressed_body_is_415()
    {
        var given = await Given.AnEnvironment(service);
        var body = Client.Bytes("""{"name": "x"}"""u8.ToArray());
        body.Headers.ContentEncoding.Add("gzip");

        (await given.Admin.Send(HttpMethod.Post, given.Features, body)).MustBe(415, "media_type.unsupported");
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{\"name\": \"x\"} {}")]
    [InlineData("{\"name\": \"x\",}")]
    [InlineData("{'name': 'x'}")]
    [InlineData("{\"name\": NaN}")]
    [InlineData("{/* hello */}")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"x\"")]
    public async Task A_body_that_is_no_json_object_is_malformed(string body)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.PostText(given.Features, body)).MustBe(400, "request.malformed");
    }

    [Fact]
    public async Task Bytes_that_are_no_utf8_are_malformed()
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Post(given.Features, Encoding.Latin1.GetBytes("""{"name": "grün"}"""))).MustBe(400, "request.malformed");
    }

    [Fact]
    public async Task Nesting_has_an_end()
    {
        var given = await Given.AnEnvironment(service);
        string Nested(int depth) =>
            $$"""{"name": "deep{{depth}}", "initial_value": {{new string('[', depth)}}{{new string(']', depth)}}}""";

        (await given.Admin.PostText(given.Features, Nested(10_000))).MustBe(400, "request.malformed");
        (await given.Admin.PostText(given.Features, Nested(60))).Must(201);
    }

    [Theory]
    [InlineData("""{"name": "x", "name": "y"}""", "name")]
    [InlineData("""{"name": "a\u0000b"}""", "name")]
    [InlineData("""{"name": "half \ud800 pair"}""", "name")]
    [InlineData("""{"name": "x", "initial_value": {"a": 1, "a": 2}}""", "initial_value.a")]
    [InlineData("""{"name": "x", "initial_value": [1, {"b": "\udfff"}]}""", "initial_value[1].b")]
    [InlineData("""{"name": "x", "initial_value": {"a\u0000": 1}}""", "initial_value.a\u0000")]
    [InlineData("""{"name": "x", "initial_value": -1e999}""", "initial_value")]
    [InlineData("""{"name": 1, "enabled": 2, "unknown": 3}""", "name", "enabled", "unknown")]
    [InlineData("""{"Name": "x"}""", "Name")]
    [InlineData("""{"\ud800": 1}""", "(name)")]
    [InlineData("""{"name": "x", "enabled": []}""", "enabled")]
    [InlineData("""{"name": "x", "multivariate_options": [{"\ud800": 1}]}""", "multivariate_options[0]")]
    public async Task All_that_is_wrong_in_a_body_is_named_at_once(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.PostText(given.Features, body)).MustName(fields);
    }

    [Fact]
    public async Task Mistakes_are_named_up_to_a_hundred_and_quickly()
    {
        var given = await Given.AnEnvironment(service);
        var body = $$"""{"name": "x", "multivariate_options": [{{string.Join(',', Enumerable.Repeat("{\"key\":1}", 15_000))}}]}""";

        var reply = (await given.Admin.PostText(given.Features, body)).MustBe(400, "request.invalid");

        reply.Fields.Count.ShouldBe(100);
    }

    [Fact]
    public async Task A_patch_names_what_is_wrong_inside_of_a_member_too()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();

        (
            await given.Admin.Patch($"{given.Features}{feature.Id}/", """{"multivariate_options": [{"key": "a", "value": 1, "x": 1}]}""")
        ).MustName("multivariate_options[0].x");
    }

    [Fact]
    public async Task A_body_over_a_mebibyte_is_413_however_it_is_sent()
    {
        var given = await Given.AnEnvironment(service);
        var body = Encoding.UTF8.GetBytes($$"""{"name": "x", "initial_value": "{{new string('a', 2 * 1024 * 1024)}}"}""");

        (await given.Admin.Post(given.Features, body)).MustBe(413, "body.too_large");
        using var stream = new StreamContent(new OneWay(body));
        stream.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        (await given.Admin.Send(HttpMethod.Post, given.Features, stream, ("Transfer-Encoding", "chunked"))).MustBe(413, "body.too_large");

        (await given.Admin.Get(given.Features))["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task Answers_come_in_the_promised_order()
    {
        var given = await Given.AnEnvironment(service);
        var running = await given.AnExperimentThatIs("running");
        var path = $"{given.Experiments}{running.Id}/";
        var text = () => Client.Bytes("{"u8.ToArray(), "text/plain");
        var stale = ("If-Match", "\"0-0\"");

        (await service.As(null).Send(HttpMethod.Patch, path, text())).Code.ShouldBe(401);
        (await service.AsUser("stranger").Send(HttpMethod.Patch, path, text())).Code.ShouldBe(403);
        (await given.Admin.Send(HttpMethod.Patch, $"{given.Experiments}999999/", text())).Code.ShouldBe(404);
        (await given.Admin.Send(HttpMethod.Patch, path, text())).Code.ShouldBe(415);
        (await given.Admin.Patch(path, "{", stale)).MustBe(400, "request.malformed");
        (await given.Admin.Patch(path, new { name = "" }, stale)).MustBe(400, "request.invalid");
        (await given.Admin.Patch($"{given.Experiments}999999/", new { name = "" }, stale)).Code.ShouldBe(404);
        (await given.Admin.Post($"{given.Experiments}999999/complete/", new { conclusion = "zz" }, ("Idempotency-Key", "k"))).Code.ShouldBe(
            404
        );
        (await given.Admin.Patch(path, new { archived = true }, stale)).Code.ShouldBe(412);
        (await given.Admin.Patch(path, new { archived = true })).Code.ShouldBe(409);
    }

    [Fact]
    public async Task No_answer_tells_what_the_service_is_made_of()
    {
        var given = await Given.AnEnvironment(service);

        foreach (
            var reply in new[]
            {
                await given.Admin.PostText(given.Features, """{"name": {"a": 1}}"""),
                await given.Admin.PostText(given.Experiments, """{"name": "n", "hypothesis": "h", "feature": 123456}"""),
                await given.Admin.Get($"{given.Experiments}?q='"),
                await service.As(null).Get(given.Experiments),
            }
        )
        {
            foreach (var word in new[] { "Npgsql", "System.", "Experiments.Api", "SELECT", "   at " })
            {
                reply.Text.ShouldNotContain(word);
            }

            reply.Headers.Server.ShouldBeEmpty();
        }
    }

    [Fact]
    public async Task Errors_are_never_cached_and_reads_are_checked_again()
    {
        (await service.Admin.Get("/api/v1/projects/")).Headers.CacheControl!.ToString().ShouldBe("no-cache, private");
        (await service.As(null).Get("/api/v1/projects/")).Headers.CacheControl!.NoStore.ShouldBeTrue();
    }

    // A stream without a length, so that it is sent in chunks.
    private sealed class OneWay(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
