using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Ingestion;

public class SendEventsTests(TestService service) : IClassFixture<TestService>
{
    private static readonly long Now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_ids_that_are_partly_known_the_others_are_added(bool areUuids)
    {
        var given = await Given.AnEnvironment(service);
        string Id(int n) => areUuids ? $"0193{n:x4}-0000-7000-8000-000000000000" : $"order-{n}-{given.Key}";
        object Event(int n, long at) =>
            new
            {
                id = Id(n),
                @event = "buy",
                identifier = "u",
                timestamp = at,
            };
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        (await given.Send([.. Enumerable.Range(0, 10).Select(n => Event(n, now))])).ShouldHaveDuplicates(0);
        // Whenever they say that they happened, and twice within a request.
        (await given.Send([.. Enumerable.Range(5, 10).Select(n => Event(n, now - 1000)), Event(14, now)])).ShouldHaveDuplicates(6);
        (await given.Send([.. Enumerable.Range(0, 15).Select(n => Event(n, now + n))])).ShouldHaveDuplicates(15);

        (await given.Stored()).Count.ShouldBe(15);
        // The ids of another environment are its own.
        var sibling = await given.Sibling();
        (await sibling.Send([.. Enumerable.Range(0, 10).Select(n => Event(n, now))])).ShouldHaveDuplicates(0);
        // Several at once add each once.
        await Task.WhenAll(
            Enumerable.Range(0, 8).Select(shift => given.Send([.. Enumerable.Range(shift * 10, 40).Select(n => Event(n, now - n))]))
        );
        (await given.Stored()).Count.ShouldBe(110);
    }

    [Fact]
    public async Task Requests_with_the_same_ids_at_once_wait_for_each_other_and_never_in_a_circle()
    {
        var given = await Given.AnEnvironment(service);
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        object Event(int round, int n) =>
            new
            {
                id = $"{given.Key}-{round}-{n}",
                @event = "buy",
                identifier = "u",
                timestamp = now - (n * 7 % 50),
            };
        var before = await Deadlocks();

        for (var round = 0; round < 12; round++)
        {
            await Task.WhenAll(
                Enumerable.Range(0, 8).Select(shift => given.Send([.. Enumerable.Range(shift * 10, 60).Select(n => Event(round, n))]))
            );
        }

        (await given.Stored()).Count.ShouldBe(12 * 130);
        (await Deadlocks()).ShouldBe(before);
    }

    private async Task<long> Deadlocks()
    {
        // What a session has counted is added when it is idle, at most once a second.
        await Task.Delay(1100);
        await service.QueryAll<int>("SELECT 1", null);
        return (await service.QueryAll<long>("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", null))[0];
    }

    [Fact]
    public async Task Everything_that_an_event_says_is_kept()
    {
        var given = await Given.AnEnvironment(service);

        var receipt = await given.Send(
            new
            {
                @event = "purchase",
                feature_name = "button",
                identifier = "user-1",
                value = "12.50",
                traits = new
                {
                    plan = "pro",
                    age = 42,
                    nested = new { a = new[] { 1, 2 } },
                },
                metadata = new { sdk_version = "12.4.0" },
                timestamp = Now,
            }
        );

        receipt.ShouldBeReceipt("""202 {"accepted":1,"duplicates":0,"rejected_count":0,"rejected":[]}""");
        var stored = await given.Stored();
        stored.ShouldBe([
            $$$"""{"at": {{{Now}}}, "event": "purchase", "value": "12.50", "traits": {"age": 42, "plan": "pro", "nested": {"a":"""
                + $$$""" [1, 2]}}, "metadata": {"sdk_version": "12.4.0"}, "identifier": "user-1", "feature_name": "button"}""",
        ]);
    }

    [Theory]
    [InlineData("""{"timestamp": NOW}""", "event")]
    [InlineData("""{"event": null, "timestamp": NOW}""", "event")]
    [InlineData("""{"event": " ", "timestamp": NOW}""", "event")]
    [InlineData("""{"event": 7, "timestamp": NOW}""", "event")]
    [InlineData("""{"event": "$flag_shown", "timestamp": NOW}""", "event")]
    [InlineData("""{"event": "$experiment_started", "timestamp": NOW}""", "event")]
    [InlineData("""{"event": "$flag_exposure", "timestamp": NOW}""", "feature_name")]
    [InlineData("""{"event": "$flag_exposure", "feature_name": "", "timestamp": NOW}""", "feature_name")]
    [InlineData("""{"event": "e", "feature_name": [], "timestamp": NOW}""", "feature_name")]
    [InlineData("""{"event": "e"}""", "timestamp")]
    [InlineData("""{"event": "e", "timestamp": null}""", "timestamp")]
    [InlineData("""{"event": "e", "timestamp": "2026-11-22"}""", "timestamp")]
    [InlineData("""{"event": "e", "timestamp": 1.5}""", "timestamp")]
    [InlineData("""{"event": "e", "timestamp": -1}""", "timestamp")]
    [InlineData("""{"event": "e", "timestamp": 1577836800000}""", "timestamp")]
    [InlineData("""{"event": "e", "timestamp": 9223372036854775807}""", "timestamp")]
    [InlineData("""{"event": "e", "timestamp": 99999999999999999999}""", "timestamp")]
    [InlineData("""{"event": "e", "timestamp": LATE}""", "timestamp")]
    [InlineData("""{"event": "e", "value": 12.5, "timestamp": NOW}""", "value")]
    [InlineData("""{"event": "e", "value": true, "timestamp": NOW}""", "value")]
    [InlineData("""{"event": "e", "value": {"a": 1}, "timestamp": NOW}""", "value")]
    [InlineData("""{"event": "e", "value": "\u0000", "timestamp": NOW}""", "value")]
    [InlineData("""{"event": "e", "identifier": "\ud800", "timestamp": NOW}""", "identifier")]
    [InlineData("""{"event": "e", "traits": [], "timestamp": NOW}""", "traits")]
    [InlineData("""{"event": "e", "traits": {"a": {"b": "\u0000"}}, "timestamp": NOW}""", "traits")]
    [InlineData("""{"event": "e", "traits": {"a": "\udc00"}, "timestamp": NOW}""", "traits")]
    [InlineData("""{"event": "e", "traits": {"a": 1e999999}, "timestamp": NOW}""", "traits")]
    [InlineData("""{"event": "e", "traits": {"a": 0e-99999999}, "timestamp": NOW}""", "traits")]
    [InlineData("""{"event": "e", "traits": {"a": 1.LONG}, "timestamp": NOW}""", "traits")]
    [InlineData("""{"event": "e", "traits": {"a": 1, "a": 2}, "timestamp": NOW}""", "traits.a")]
    [InlineData("""{"event": "e", "metadata": {"a": {"b": 1, "b": 1}}, "timestamp": NOW}""", "metadata.b")]
    [InlineData("""{"event": "e", "metadata": DEEP, "timestamp": NOW}""", "metadata")]
    [InlineData("""{"event": "e", "\ud800": 1, "timestamp": NOW}""", "")]
    [InlineData("""{"event": "e", "metadata": "x", "timestamp": NOW}""", "metadata")]
    [InlineData("""{"event": "e", "id": "", "timestamp": NOW}""", "id")]
    [InlineData("""{"event": "e", "id": 5, "timestamp": NOW}""", "id")]
    [InlineData("""{"event": "e", "event": "f", "timestamp": NOW}""", "event")]
    public async Task What_is_wrong_with_one_event_is_said_and_costs_the_others_nothing(string wrong, string field)
    {
        var given = await Given.AnEnvironment(service);
        wrong = wrong
            .Replace("NOW", $"{Now}", StringComparison.Ordinal)
            .Replace("LATE", $"{Now + (25 * 3600 * 1000)}", StringComparison.Ordinal)
            .Replace("LONG", new string('0', 17_000), StringComparison.Ordinal)
            .Replace("DEEP", string.Concat(Enumerable.Repeat("{\"a\":", 100)) + "1" + new string('}', 100), StringComparison.Ordinal);

        var alone = (await given.Sdk.PostText("/v1/events", $$"""{"events": [{{wrong}}]}""")).MustBe(400, "request.invalid");
        alone.Fields.ShouldBe([$"events[0].{field}".TrimEnd('.')]);
        (await given.Stored()).ShouldBeEmpty();

        var receipt = (
            await given.Sdk.PostText(
                "/v1/events",
                $$"""{"events": [{"event": "fine", "timestamp": {{Now}}}, {{wrong}}, {"event": "fine", "timestamp": {{Now + 1}}}]}"""
            )
        ).Must(202);
        receipt["accepted"].GetValue<int>().ShouldBe(2);
        var rejected = receipt["rejected"].AsArray().ShouldHaveSingleItem()!;
        rejected["index"]!.GetValue<int>().ShouldBe(1);
        rejected["error"]!.GetValue<string>().ShouldStartWith($"events[1].{field}".TrimEnd('.'));
        (await given.Stored()).Count.ShouldBe(2);
    }

    [Theory]
    [InlineData("event", 256)]
    [InlineData("feature_name", 2000)]
    [InlineData("identifier", 2000)]
    [InlineData("id", 200)]
    public async Task Lengths_count_characters(string field, int limit)
    {
        var given = await Given.AnEnvironment(service);
        JsonObject With(string text, long at) =>
            new()
            {
                ["event"] = "e",
                [field] = text,
                ["timestamp"] = at,
            };

        (await given.Send(With(Repeat("é", limit), Now), With(Repeat("👩", limit), Now + 1)))["accepted"].GetValue<int>().ShouldBe(2);
        (await given.SendAny(With(Repeat("é", limit + 1), Now))).MustBe(400, "request.invalid").Fields.ShouldBe([$"events[0].{field}"]);
    }

    [Fact]
    public async Task Values_traits_and_metadata_count_bytes()
    {
        var given = await Given.AnEnvironment(service);

        (
            await given.Send(
                new
                {
                    @event = "e",
                    value = new string('x', 128 * 1024),
                    timestamp = Now,
                }
            )
        ).Must(202);
        (
            await given.SendAny(
                new
                {
                    @event = "e",
                    value = Repeat("é", 64 * 1024) + "x",
                    timestamp = Now,
                }
            )
        ).Must(400).Fields.ShouldBe(["events[0].value"]);
        (
            await given.SendAny(
                new
                {
                    @event = "e",
                    traits = Many(17),
                    timestamp = Now,
                }
            )
        ).Must(400).Fields.ShouldBe(["events[0].traits"]);
        (
            await given.Send(
                new
                {
                    @event = "e",
                    traits = Many(15),
                    timestamp = Now,
                }
            )
        ).Must(202);
        (
            await given.SendAny(
                new
                {
                    @event = "e",
                    metadata = new { a = new string('x', 8192) },
                    timestamp = Now,
                }
            )
        ).Must(400).Fields.ShouldBe(["events[0].metadata"]);
        (
            await given.Send(
                new
                {
                    @event = "e",
                    metadata = new { a = new string('x', 8000) },
                    timestamp = Now,
                }
            )
        ).Must(202);
        (
            await given.SendAny(
                new
                {
                    @event = "e",
                    traits = new { a = new string('x', 2001) },
                    timestamp = Now,
                }
            )
        ).Must(400).Fields.ShouldBe(["events[0].traits.a"]);
        (
            await given.Send(
                new JsonObject
                {
                    ["event"] = "e",
                    ["traits"] = new JsonObject { [Repeat("👩", 200)] = 1 },
                    ["timestamp"] = Now,
                }
            )
        ).Must(202);
        (
            await given.SendAny(
                new JsonObject
                {
                    ["event"] = "e",
                    ["traits"] = new JsonObject { [new string('x', 201)] = 1 },
                    ["timestamp"] = Now,
                }
            )
        ).Must(400).Fields.ShouldBe(["events[0].traits"]);

        static Dictionary<string, string> Many(int count) =>
            Enumerable.Range(0, count).ToDictionary(n => $"trait{n}", _ => new string('x', 2000));
    }

    [Theory]
    [InlineData("", "request.malformed")]
    [InlineData("[]", "request.malformed")]
    [InlineData("""{"events": [}""", "request.malformed")]
    [InlineData("""{"events": [{"event": "e", "timestamp": 1}]} x""", "request.malformed")]
    [InlineData("{}", "request.invalid")]
    [InlineData("""{"events": []}""", "request.invalid")]
    [InlineData("""{"events": {}}""", "request.invalid")]
    [InlineData("""{"events": [], "events": []}""", "request.invalid")]
    [InlineData("""{"events": [7]}""", "request.invalid")]
    public async Task What_is_not_a_list_of_events_is_refused_as_a_whole(string body, string code)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Sdk.PostText("/v1/events", body)).MustBe(400, code);

        (await given.Stored()).ShouldBeEmpty();
    }

    [Fact]
    public async Task What_is_not_utf8_or_not_json_is_refused()
    {
        var given = await Given.AnEnvironment(service);
        byte[] latin = [.. """{"events": [{"event": "caf"""u8, 0xe9, .. "\", \"timestamp\": 1}]}"u8];

        (await given.Sdk.Send(HttpMethod.Post, "/v1/events", Client.Bytes(latin))).MustBe(400, "request.malformed");
        (await given.Sdk.PostText("/v1/events", "{}", "text/csv")).MustBe(415, "media_type.unsupported");
        (await given.Sdk.Send(HttpMethod.Post, "/v1/events", Packed("not gzip"u8.ToArray(), pack: false))).MustBe(400, "request.malformed");
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("GZIP")]
    [InlineData("x-gzip")]
    [InlineData("br")]
    [InlineData("deflate")]
    public async Task Bodies_may_be_packed(string encoding)
    {
        var given = await Given.AnEnvironment(service);
        var body = Encoding.UTF8.GetBytes($$"""{"events": [{"event": "e", "timestamp": {{Now}}}]}""");

        (await given.Sdk.Send(HttpMethod.Post, "/v1/events/", Packed(body, encoding: encoding))).Must(202);
        (await given.Sdk.Send(HttpMethod.Post, "/v1/events/", Packed(body, pack: false, encoding: encoding))).MustBe(
            400,
            "request.malformed"
        );
        (await given.Sdk.PostText("/v1/events/", Encoding.UTF8.GetString(body))).Must(202).ShouldHaveDuplicates(1);
        (await given.Stored()).Count.ShouldBe(1);
    }

    [Theory]
    [InlineData("zstd")]
    [InlineData("compress")]
    [InlineData("gzip, br")]
    public async Task A_coding_that_is_not_known_is_refused_by_name_with_those_that_are(string encoding)
    {
        var given = await Given.AnEnvironment(service);

        var reply = await given.Sdk.Send(HttpMethod.Post, "/v1/events/", Packed("{}"u8.ToArray(), pack: false, encoding));

        reply.MustBe(415, "media_type.unsupported")["detail"].GetValue<string>().ShouldContain($"'{encoding}'");
        reply.Headers.NonValidated["Accept-Encoding"].ToString().ShouldBe("gzip, br, deflate");
    }

    [Fact]
    public async Task Too_much_is_refused_packed_or_not()
    {
        var given = await Given.AnEnvironment(service);
        var large = Encoding.UTF8.GetBytes(
            $$"""{"events": [{"event": "e", "timestamp": {{Now}}, "value": "{{new string('x', 6 * 1024 * 1024)}}"}]}"""
        );

        var refused = (await given.Sdk.Send(HttpMethod.Post, "/v1/events", Client.Bytes(large), ("Origin", "https://shop.example"))).MustBe(
            413,
            "body.too_large"
        );
        refused.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["*"]);
        (await given.Sdk.Send(HttpMethod.Post, "/v1/events", Packed(large))).MustBe(413, "body.too_large");
        (await given.SendAny([.. Enumerable.Range(0, 10_001).Select(n => new { @event = "e", timestamp = Now + n })]))
            .MustBe(400, "request.invalid")
            .Fields.ShouldBe(["events"]);
        (await given.Stored()).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_key_is_needed_and_must_be_known()
    {
        object body = new { events = new[] { new { @event = "e", timestamp = Now } } };

        (await service.As(null).Post("/v1/events", body)).MustBe(401, "environment_key.missing");
        (await service.Admin.Post("/v1/events", body)).MustBe(401, "environment_key.missing");
        (await service.As(null).Post("/v1/events", body, ("X-Environment-Key", "nobodys"))).MustBe(403, "environment_key.unknown");
    }

    [Fact]
    public async Task The_same_content_at_the_same_time_counts_once_however_it_is_written()
    {
        var given = await Given.AnEnvironment(service);
        string[] same =
        [
            $$$"""{"event": "e", "identifier": "ü", "traits": {"a": 1, "b": {"c": [1, 2]}}, "timestamp": {{{Now}}}}""",
            $$$"""{"timestamp":{{{Now}}},"traits":{"b":{"c":[1,2]},"a":1},"identifier":"\u00fc","event":"e"}""",
            $$$"""{"event": "e", "feature_name": null, "identifier": "ü", "value": null, "metadata": null, "traits": {"a": 1,"""
                + $$$""" "b": {"c": [1, 2]}}, "timestamp": {{{Now}}}}""",
        ];
        string[] others =
        [
            $$$"""{"event": "e", "identifier": "ü", "traits": {"a": 1, "b": {"c": [2, 1]}}, "timestamp": {{{Now}}}}""",
            $$$"""{"event": "e", "identifier": "ü", "traits": {"a": 1, "b": {"c": [1, 2]}}, "timestamp": {{{Now + 1}}}}""",
            $$$"""{"event": "e", "identifier": "u\u0308", "traits": {"a": 1, "b": {"c": [1, 2]}}, "timestamp": {{{Now}}}}""",
            $$$"""{"event": "e", "identifier": "ü", "value": "", "traits": {"a": 1, "b": {"c": [1, 2]}}, "timestamp": {{{Now}}}}""",
            $$$"""{"event": "e", "identifier": "ü", "timestamp": {{{Now}}}}""",
            $$$"""{"event": "e", "timestamp": {{{Now}}}}""",
        ];

        foreach (var (time, written) in same.Index())
        {
            (await given.Sdk.PostText("/v1/events", $$"""{"events": [{{written}}]}""")).ShouldBeReceipt(
                $$"""202 {"accepted":1,"duplicates":{{Math.Min(1, time)}},"rejected_count":0,"rejected":[]}"""
            );
        }

        (await given.Sdk.PostText("/v1/events", $$"""{"events": [{{string.Join(',', others.Prepend(same[0]))}}]}""")).ShouldBeReceipt(
            """202 {"accepted":7,"duplicates":1,"rejected_count":0,"rejected":[]}"""
        );
        (await given.Stored()).Count.ShouldBe(1 + others.Length);
    }

    [Fact]
    public async Task Equal_events_of_one_request_are_several_and_the_same_when_it_is_repeated()
    {
        var given = await Given.AnEnvironment(service);
        object[] clicks =
        [
            .. Enumerable.Repeat(
                new
                {
                    @event = "click",
                    identifier = "u",
                    timestamp = Now,
                },
                5
            ),
            new
            {
                @event = "click",
                identifier = "u",
                timestamp = Now + 1,
            },
        ];

        (await given.Send(clicks)).ShouldBeReceipt("""202 {"accepted":6,"duplicates":0,"rejected_count":0,"rejected":[]}""");
        (await given.Send(clicks)).ShouldBeReceipt("""202 {"accepted":6,"duplicates":6,"rejected_count":0,"rejected":[]}""");
        (await given.Send([.. clicks.Reverse()])).ShouldBeReceipt("""202 {"accepted":6,"duplicates":6,"rejected_count":0,"rejected":[]}""");
        // Three of the five were there.
        (await given.Send([.. clicks.Take(3), new { @event = "other", timestamp = Now }])).ShouldBeReceipt(
            """202 {"accepted":4,"duplicates":3,"rejected_count":0,"rejected":[]}"""
        );
        (await given.Stored()).Count.ShouldBe(7);

        // An id says which of them are the same.
        (
            await given.Send([
                .. Enumerable.Repeat(
                    new
                    {
                        @event = "click",
                        identifier = "u",
                        timestamp = Now,
                        id = "1",
                    },
                    5
                ),
            ])
        ).ShouldBeReceipt("""202 {"accepted":5,"duplicates":4,"rejected_count":0,"rejected":[]}""");
    }

    [Theory]
    [InlineData("""{"event": "buy"}""", "events[0].timestamp", "This is required: milliseconds since 1970.")]
    [InlineData(
        """{"event": "buy", "timestamp": "2026-01-01T00:00:00Z"}""",
        "events[0].timestamp",
        "This must be a whole number: milliseconds since 1970."
    )]
    [InlineData(
        """{"event": "$flag_shown", "timestamp": 1795348800000}""",
        "events[0].event",
        "Names that start with '$flag_' or '$experiment_' are reserved; the only one is '$flag_exposure'."
    )]
    [InlineData(
        """{"event": "buy", "traits": {"a": {"b": 1, "b": 2}}, "timestamp": 1795348800000}""",
        "events[0].traits.b",
        "This is given more than once."
    )]
    [InlineData("7", "events[0]", "This must be an object.")]
    public async Task When_all_are_refused_each_mistake_is_a_sentence(string sent, string field, string message)
    {
        var given = await Given.AnEnvironment(service);

        var reply = (await given.Sdk.PostText("/v1/events", $$"""{"events": [{{sent}}]}""")).MustName(field);

        reply["errors"][field]!
            .ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping })
            .ShouldBe($"[\"{message}\"]");
    }

    [Fact]
    public async Task The_same_id_counts_once_whatever_else_it_says_and_whenever()
    {
        Assert.SkipWhen(TestEventStore.IsClickHouse, "There, an id is that of an event and an identity.");
        var given = await Given.AnEnvironment(service);
        var other = await given.Sibling();
        const long Month = 31L * 24 * 3600 * 1000;

        (
            await given.Send(
                new
                {
                    @event = "e",
                    id = "1",
                    timestamp = Now,
                },
                new
                {
                    @event = "f",
                    id = "1",
                    timestamp = Now + 5,
                }
            )
        ).ShouldHaveDuplicates(1);
        (
            await given.Send(
                new
                {
                    @event = "g",
                    id = "1",
                    timestamp = Now - (3 * Month),
                }
            )
        ).ShouldHaveDuplicates(1);
        (
            await given.Send(
                new
                {
                    @event = "e",
                    id = "2",
                    timestamp = Now,
                },
                new
                {
                    @event = "e",
                    id = "1",
                    timestamp = Now,
                }
            )
        ).ShouldHaveDuplicates(1);
        (await given.Send(new { @event = "e", timestamp = Now })).ShouldHaveDuplicates(0);
        (
            await other.Send(
                new
                {
                    @event = "e",
                    id = "1",
                    timestamp = Now,
                }
            )
        ).ShouldHaveDuplicates(0);

        (await given.Stored()).Count.ShouldBe(3);
    }

    [Fact]
    public async Task Of_many_that_send_the_same_at_once_one_is_counted()
    {
        var given = await Given.AnEnvironment(service);
        var random = new Random(7);

        var receipts = await Task.WhenAll(
            Enumerable
                .Range(0, 16)
                .Select(_ =>
                {
                    // Each in an order of its own: an invitation to deadlock.
                    var events = Enumerable
                        .Range(0, 300)
                        .Select(n =>
                            n % 2 == 0
                                ? new JsonObject { ["event"] = $"e{n}", ["timestamp"] = Now + n }
                                : new JsonObject
                                {
                                    ["event"] = $"e{n}",
                                    ["id"] = $"{n}",
                                    ["timestamp"] = Now + n,
                                }
                        )
                        .ToArray();
                    random.Shuffle(events);
                    return given.Send([.. events]);
                })
        );

        receipts
            .Sum(receipt => receipt["accepted"].GetValue<int>() - (receipt.Json!["duplicates"]?.GetValue<int>() ?? 0))
            .ShouldBe(TestEventStore.IsClickHouse ? 16 * 300 : 300);
        (await given.Stored()).Count.ShouldBe(300);
    }

    [Fact]
    public async Task Events_of_long_ago_are_kept_in_a_month_of_their_own()
    {
        var given = await Given.AnEnvironment(service);

        (await given.Send(new { @event = "e", timestamp = 1_580_000_000_000 }, new { @event = "e", timestamp = Now })).Must(202);

        (await given.Stored()).Count.ShouldBe(2);
        (await service.Query<bool>("SELECT EXISTS (SELECT FROM event_partitions WHERE partition = 'events_2020_01')")).ShouldBeTrue();
    }

    private static string Repeat(string text, int times) => string.Concat(Enumerable.Repeat(text, times));

    private static ByteArrayContent Packed(byte[] body, bool pack = true, string encoding = "gzip")
    {
        using var packed = new MemoryStream();
        using (
            Stream coding = encoding switch
            {
                "br" => new BrotliStream(packed, CompressionLevel.Fastest),
                "deflate" => new ZLibStream(packed, CompressionLevel.Fastest),
                _ => new GZipStream(packed, CompressionLevel.Fastest),
            }
        )
        {
            coding.Write(body);
        }

        var content = Client.Bytes(pack ? packed.ToArray() : body);
        content.Headers.TryAddWithoutValidation("Content-Encoding", encoding);
        return content;
    }
}
