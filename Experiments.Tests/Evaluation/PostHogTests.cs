using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Evaluation;

/// <summary>What PostHog's SDKs ask for and send, as bytes.</summary>
public class PostHogTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_flag_has_the_variant_that_every_other_protocol_gives_it()
    {
        var (given, experiment) = await Running("green", "red");
        var feature = experiment["feature"];
        (await given.Admin.Post(given.Features, new { name = "switch", enabled = true })).Must(201);
        (await given.Admin.Post(given.Features, new { name = "off", initial_value = "secret" })).Must(201);
        await given.Served(flags: 3);

        for (var n = 0; n < 40; n++)
        {
            var expected = (await given.Evaluate(feature, $"user-{n}")).Must(200);
            var flags = (await Flags(given, new { token = given.Key, distinct_id = $"user-{n}" })).Must(200)["flags"];
            var flag = flags[feature["name"]!.GetValue<string>()]!;
            flag["variant"]!.GetValue<string>().ShouldBe(expected["variant"].GetValue<string>());
            flag["enabled"]!.GetValue<bool>().ShouldBeTrue();
            JsonNode.DeepEquals(JsonNode.Parse(flag["metadata"]!["payload"]!.GetValue<string>()), expected["value"]).ShouldBeTrue();
            flag["metadata"]!["has_experiment"]!.GetValue<bool>().ShouldBeTrue();
            flags["switch"]!["enabled"]!.GetValue<bool>().ShouldBeTrue();
            flags["switch"]!["variant"].ShouldBeNull();
            flags["off"]!["enabled"]!.GetValue<bool>().ShouldBeFalse();
            flags["off"]!["metadata"]!["payload"].ShouldBeNull();
        }
    }

    [Fact]
    public async Task While_the_anonymous_identity_is_sent_it_is_what_is_assigned()
    {
        var (given, experiment) = await Running("green", "red");
        var name = experiment["feature"]["name"]!.GetValue<string>();

        for (var n = 0; n < 20; n++)
        {
            var anonymous = await Variant(new { token = given.Key, distinct_id = $"anon-{n}" });
            (
                await Variant(
                    new JsonObject
                    {
                        ["token"] = given.Key,
                        ["distinct_id"] = $"known-{n}",
                        ["$anon_distinct_id"] = $"anon-{n}",
                    }
                )
            ).ShouldBe(anonymous);
        }

        async Task<string> Variant(object body) => (await Flags(given, body)).Must(200)["flags"][name]!["variant"]!.GetValue<string>();
    }

    [Fact]
    public async Task Only_the_flags_that_are_asked_for_are_answered()
    {
        var (given, experiment) = await Running("green");
        var name = experiment["feature"]["name"]!.GetValue<string>();

        var flags = (
            await Flags(
                given,
                new
                {
                    token = given.Key,
                    distinct_id = "u",
                    flag_keys_to_evaluate = new[] { "none", name },
                }
            )
        ).Must(200);

        flags["flags"].AsObject().Select(flag => flag.Key).ShouldBe([name]);
        (await Flags(given, new { api_key = given.Key })).Must(200)["flags"][name]!["variant"].ShouldBeNull();
        (await Flags(given, new { api_key = given.Key, distinct_id = 42 })).Must(200)["flags"][name]!["variant"]!
            .GetValue<string>()
            .ShouldBe((await given.Evaluate(experiment["feature"], "42"))["variant"].GetValue<string>());
    }

    [Fact]
    public async Task Older_SDKs_get_names_and_payloads_apart()
    {
        var (given, experiment) = await Running("green");
        var name = experiment["feature"]["name"]!.GetValue<string>();

        var decision = (await given.Sdk.Post("/decide/?v=3", new { api_key = given.Key, distinct_id = "user-1" })).Must(200);

        var expected = (await given.Evaluate(experiment["feature"], "user-1")).Must(200);
        decision["featureFlags"][name]!.GetValue<string>().ShouldBe(expected["variant"].GetValue<string>());
        decision["featureFlagPayloads"][name]!.GetValue<string>().ShouldBe(expected["value"].ToJsonString());
        decision["supportedCompression"].ToJsonString().ShouldBe("""["gzip-js"]""");
    }

    [Theory]
    [InlineData("{}", 401, "environment_key.missing")]
    [InlineData("""{"token": "nothing"}""", 403, "environment_key.unknown")]
    [InlineData("[]", 400, "request.malformed")]
    [InlineData("{", 400, "request.malformed")]
    public async Task Whoever_cannot_be_served_is_told(string body, int status, string code)
    {
        (await service.As(null).PostText("/flags/?v=2", body)).Code.ShouldBe(status);
        (await service.As(null).PostText("/flags/?v=2", body)).Text.ShouldContain(code);
    }

    [Fact]
    public async Task An_identity_that_cannot_be_kept_is_named()
    {
        var given = await Given.AnEnvironment(service);

        (await Flags(given, new { token = given.Key, distinct_id = "a\0b" })).MustName("distinct_id");
        (await Flags(given, new { token = given.Key, distinct_id = new string('x', 2001) })).MustName("distinct_id");
    }

    [Fact]
    public async Task What_is_captured_counts_once_as_exposures_and_events()
    {
        var (given, experiment) = await Running("green");
        var name = experiment["feature"]["name"]!.GetValue<string>();
        var variant = (await given.Evaluate(experiment["feature"], "user-1"))["variant"].GetValue<string>();
        var at = DateTime.UtcNow;
        var batch = $$$"""
            {"api_key": "{{{given.Key}}}", "sent_at": "{{{at:O}}}", "batch": [
                {"event": "$feature_flag_called", "distinct_id": "user-1", "timestamp": "{{{at:O}}}",
                    "uuid": "0199f5a0-0000-7000-8000-000000000001",
                    "properties": {"$feature_flag": "{{{name}}}", "$feature_flag_response": "{{{variant}}}", "$browser": "Chrome",
                        "$set": {"plan": "pro"} } },
                {"event": "$feature_flag_called", "distinct_id": "user-1", "timestamp": "{{{at:O}}}",
                    "uuid": "0199f5a0-0000-7000-8000-000000000002",
                    "properties": {"$feature_flag": "switch", "$feature_flag_response": true} },
                {"event": "purchase", "distinct_id": 42, "timestamp": "{{{at:O}}}", "uuid": "0199f5a0-0000-7000-8000-000000000003",
                    "properties": {"value": 12.5, "token": "x", "item": {"sku": "a"}, "$current_url": "https://shop.example/"} },
                {"event": "$pageview", "properties": {"distinct_id": "user-1", "token": "{{{given.Key}}}"}, "$set": {"plan": "free"} },
                {"event": 5}, "none"]}
            """;

        var receipt = (await given.Sdk.PostText("/batch/", batch)).Must(200);
        (receipt["status"].GetValue<string>(), receipt["accepted"].GetValue<int>()).ShouldBe(("Ok", 4));
        receipt.ShouldHaveDuplicates(0);
        receipt["rejected"].AsArray().Select(one => one!["index"]!.GetValue<int>()).ShouldBe([4, 5]);
        (await given.Sdk.PostText("/batch/", batch)).Must(200).ShouldHaveDuplicates(4);

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);
        var stored = (await given.Stored()).Select(one => JsonNode.Parse(one)!).ToDictionary(one => one["event"]!.GetValue<string>());
        stored["$flag_exposure"]["value"]!.GetValue<string>().ShouldBe(variant);
        stored["$flag_exposure"]["feature_name"]!.GetValue<string>().ShouldBe(name);
        stored["$flag_exposure"]["traits"]!.ToJsonString().ShouldBe("""{"plan":"pro","$browser":"Chrome"}""");
        stored["$feature_flag_called"]["value"]!.GetValue<string>().ShouldBe("true");
        stored["purchase"]["value"]!.GetValue<string>().ShouldBe("12.5");
        stored["purchase"]["identifier"]!.GetValue<string>().ShouldBe("42");
        JsonNode
            .DeepEquals(
                stored["purchase"]["metadata"],
                JsonNode.Parse("""{"value": 12.5, "item": {"sku": "a"}, "$current_url": "https://shop.example/"}""")
            )
            .ShouldBeTrue(stored["purchase"].ToJsonString());
        stored["$pageview"]["traits"]!.ToJsonString().ShouldBe("""{"plan":"free"}""");
    }

    [Theory]
    [InlineData("/e/", "text/plain", "gzip")]
    [InlineData("/i/v0/e/", "text/plain", "")]
    [InlineData("/e/?compression=base64", "application/x-www-form-urlencoded", "form base64")]
    [InlineData("/e/?compression=gzip-js", "application/x-www-form-urlencoded", "form gzip")]
    [InlineData("/capture/", "application/json", "one")]
    [InlineData("/track/", "application/json", "list")]
    [InlineData("/batch/", "application/json", "coded")]
    public async Task Bodies_are_taken_in_all_their_forms(string path, string type, string form)
    {
        var given = await Given.AnEnvironment(service);
        const string one = """{"event": "caf\u00e9", "distinct_id": "u", "properties": {"value": "1&2=3"}}""";
        var json = form switch
        {
            "one" => $$"""{"api_key": "{{given.Key}}", {{one[1..]}}""",
            "list" => $$"""[{"event": "café", "properties": {"token": "{{given.Key}}", "distinct_id": "u", "value": "1&2=3"} }]""",
            _ => $$"""{"batch": [{{one}}], "token": "{{given.Key}}"}""",
        };
        var bytes = Encoding.UTF8.GetBytes(json);
        using var content = new ByteArrayContent(
            form switch
            {
                "gzip" or "coded" => Zipped(bytes),
                "form base64" => Form(bytes),
                "form gzip" => Form(Zipped(bytes)),
                _ => bytes,
            }
        );
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        if (form == "coded")
        {
            content.Headers.ContentEncoding.Add("gzip");
        }

        using var client = new HttpClient { BaseAddress = service.Address };
        using var response = await client.PostAsync(new Uri(path, UriKind.Relative), content);

        response.StatusCode.ShouldBe(System.Net.HttpStatusCode.OK, await response.Content.ReadAsStringAsync());
        var stored = JsonNode.Parse((await given.Stored()).ShouldHaveSingleItem())!;
        (stored["event"]!.GetValue<string>(), stored["identifier"]!.GetValue<string>(), stored["value"]!.GetValue<string>()).ShouldBe(
            ("café", "u", "1&2=3")
        );
    }

    [Fact]
    public async Task A_wrong_clock_is_corrected_and_what_has_no_time_happens_when_it_arrives()
    {
        var given = await Given.AnEnvironment(service);
        var client = DateTime.UtcNow.AddHours(-7);

        (
            await given.Sdk.PostText(
                "/batch/",
                $$"""
                {"api_key": "{{given.Key}}", "sent_at": "{{client:O}}", "batch": [
                    {"event": "a", "distinct_id": "u", "timestamp": "{{client.AddSeconds(-2):O}}"}, {"event": "b", "distinct_id": "u"},
                    {"event": "c", "distinct_id": "u", "timestamp": "soon"}, {"event": "d", "distinct_id": "u",
                        "timestamp": {{((DateTimeOffset)client).ToUnixTimeSeconds()}} }]}
                """
            )
        ).Must(200)["accepted"].GetValue<int>().ShouldBe(4);

        var ago = await service.QueryAll<double>(
            "SELECT extract(epoch FROM now() - v.happened_at)::float8 FROM events v JOIN environments e ON e.id = v.environment_id "
                + "WHERE e.key = @Key ORDER BY v.event",
            new { given.Key }
        );
        ago.ShouldAllBe(seconds => seconds >= 0 && seconds < 30);
        ago[0].ShouldBeGreaterThan(1.9);
    }

    [Fact]
    public async Task More_than_fits_is_what_the_application_said_and_as_much_of_the_rest_as_fits()
    {
        var given = await Given.AnEnvironment(service);
        var properties = new JsonObject
        {
            ["$elements_chain"] = new string('x', 8000),
            ["$a"] = "b",
            ["plan"] = new string('y', 300),
        };

        (
            await given.Sdk.Post(
                "/capture/",
                new JsonObject
                {
                    ["api_key"] = given.Key,
                    ["event"] = "e",
                    ["properties"] = properties,
                }
            )
        ).Must(200);

        var metadata = JsonNode.Parse((await given.Stored()).Single())!["metadata"]!.AsObject();
        metadata.Select(member => member.Key).Order().ShouldBe(["$a", "plan"]);
        properties["plan"] = new string('y', 9000);
        (
            await given.Sdk.Post(
                "/capture/",
                new JsonObject
                {
                    ["api_key"] = given.Key,
                    ["event"] = "e",
                    ["properties"] = properties.DeepClone(),
                }
            )
        ).MustName("events[0].metadata");
    }

    [Fact]
    public async Task Nothing_of_a_wrong_key_or_of_nobody_is_kept()
    {
        var given = await Given.AnEnvironment(service);

        (await given.Sdk.Post("/batch/", new { batch = new[] { new { @event = "e" } } })).Must(200);
        (await service.As(null).Post("/batch/", new { batch = new[] { new { @event = "e" } } })).MustBe(401, "environment_key.missing");
        (await service.As(null).Post("/batch/", new { api_key = "none", batch = new[] { new { @event = "e" } } })).MustBe(
            403,
            "environment_key.unknown"
        );
        (await given.Sdk.Post("/batch/", new { api_key = given.Key, batch = Array.Empty<object>() })).MustName("batch");
        (await given.Sdk.PostText("/batch/", $$"""{"api_key": "{{given.Key}}", "batch": [{"event": "\ud800"}, {"\ud800": 1}]}""")).Must(
            400
        );
        (await given.Stored()).Count.ShouldBe(1);
    }

    [Theory]
    [InlineData(""" "sent_at": "\ud800", """, 0)]
    [InlineData(""" "sent_at": "0001-01-01T00:00:00Z", """, 1)]
    [InlineData(""" "sent_at": "9999-12-31T23:59:59Z", """, 1)]
    [InlineData(""" "sent_at": {"a": [1]}, """, 1)]
    [InlineData(""" "\ud800": 1, """, 1)]
    public async Task Odd_bodies_are_taken_or_refused_and_never_fail(string member, int stored)
    {
        var given = await Given.AnEnvironment(service);

        var reply = await given.Sdk.PostText(
            "/batch/",
            $$"""{"api_key": "{{given.Key}}", {{member}} "batch": [{"event": "e", "distinct_id": "u", "offset": 1000}]}"""
        );

        reply.Code.ShouldBe(stored == 1 ? 200 : 400, reply.Text);
        (await given.Stored()).Count.ShouldBe(stored);
    }

    [Fact]
    public async Task The_key_is_never_a_property_of_the_application()
    {
        var given = await Given.AnEnvironment(service);
        var properties = $$"""{"api_key": "theirs", "nested": {"deeper": {"token": "theirs"} }, "token": "{{given.Key}}"} """;

        (await service.As(null).PostText("/e/", $$"""[{"event": "a", "properties": {{properties}} }]""")).Must(200);
        (await given.Sdk.PostText("/e/", """{"batch": [{"event": "b", "properties": {"token": "theirs"}}]}""")).Must(200);

        (await given.Stored()).Count.ShouldBe(2);
    }

    [Fact]
    public async Task A_body_of_too_many_events_or_members_costs_little_and_is_refused_or_cut()
    {
        var given = await Given.AnEnvironment(service);
        var many = string.Join(',', Enumerable.Repeat("{}", 10_001));
        var members = string.Join(',', Enumerable.Range(0, 100_000).Select(n => $"\"a{n}\":[]"));
        var clock = System.Diagnostics.Stopwatch.StartNew();

        (await given.Sdk.PostText("/batch/", $$"""{"api_key": "{{given.Key}}", "batch": [{{many}}]}""")).MustName("batch");
        (
            await given.Sdk.PostText(
                "/batch/",
                $"{{\"api_key\": \"{given.Key}\", \"batch\": [{{\"event\": \"$feature_flag_called\", \"properties\": {{"
                    + "\"$feature_flag\": \"f\", \"$feature_flag_response\": \"v\", "
                    + $"\"$groups\": {{{members}}}, \"$set\": {{{members}}}}}}}]}}"
            )
        ).Must(200);

        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Settings_say_what_is_served_here()
    {
        var given = await Given.AnEnvironment(service);

        var config = (await service.As(null).Get($"/array/{given.Key}/config")).Must(200);
        config["supportedCompression"].ToJsonString().ShouldBe("""["gzip-js"]""");
        config.Json!["surveys"].ShouldBeNull();
        using var client = new HttpClient { BaseAddress = service.Address };
        using var script = await client.GetAsync(new Uri($"/array/{given.Key}/config.js", UriKind.Relative));
        script.Content.Headers.ContentType!.MediaType.ShouldBe("text/javascript");
        (await script.Content.ReadAsStringAsync()).ShouldContain($"[\"{given.Key}\"]={{config:{{\"supportedCompression\"");
        (await service.As(null).Get("/array/none/config")).Code.ShouldBe(403);
    }

    private static Task<Reply> Flags(Given given, object body) => given.Sdk.Post("/flags/?v=2", body);

    private async Task<(Given, Reply)> Running(params string[] variants)
    {
        var given = await Given.AnEnvironment(service);
        return (given, await given.Start(await given.AnExperiment(variants)));
    }

    private static byte[] Form(byte[] bytes) =>
        Encoding.ASCII.GetBytes($"data={Uri.EscapeDataString(Convert.ToBase64String(bytes))}&ver=1");

    private static byte[] Zipped(byte[] bytes)
    {
        using var zipped = new MemoryStream();
        using (var gzip = new GZipStream(zipped, CompressionLevel.Fastest))
        {
            gzip.Write(bytes);
        }

        return zipped.ToArray();
    }
}
