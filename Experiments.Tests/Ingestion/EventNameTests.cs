using System.Text.Json.Nodes;

namespace Experiments.Tests.Ingestion;

public class EventNameTests(SharedService service) : IClassFixture<SharedService>
{
    private const long Day = 24 * 3600_000;

    [Fact]
    public async Task Every_event_is_counted_once_under_its_name_whatever_is_sent_twice()
    {
        var given = await Given.AnEnvironment(service);
        var now = Now();
        object[] first =
        [
            Event("purchase", "a", now - 5000),
            Event("purchase", "b", now - 9000),
            Event("purchase", null, now - 7000),
            Event("view", "a", now - 1000),
        ];
        object[] named =
        [
            new
            {
                @event = "signup",
                identifier = "a",
                timestamp = now - 20_000,
                id = "signup-1",
            },
            new
            {
                @event = "signup",
                identifier = "a",
                timestamp = now - 10_000,
                id = "signup-1",
            },
        ];

        // At once, and one after the other.
        await Task.WhenAll(given.Send(first), given.Send(first), given.Send(first));
        await given.Send(first);
        await given.Send(named[0]);
        await given.Send(named[1]);

        var names = await Named(given, 3);
        names.Select(name => name["event"]!.GetValue<string>()).ShouldBe(["view", "purchase", "signup"]);
        Shown(names[0]).ShouldBe((1, now - 1000, now - 1000));
        Shown(names[1]).ShouldBe((3, now - 9000, now - 5000));
        Shown(names[2]).ShouldBe((1, now - 20_000, now - 20_000));
        (
            await service.Query<long>(
                "SELECT sum(n.count)::bigint FROM event_names n JOIN environments e ON e.id = n.environment_id WHERE e.key = @Key",
                new { given.Key }
            )
        ).ShouldBe(5);
        (await given.Stored()).Count.ShouldBe(5);
    }

    [Fact]
    public async Task What_comes_later_adds_to_what_is_known()
    {
        var given = await Given.AnEnvironment(service);
        var now = Now();
        await given.Send(Event("purchase", "a", now - 5000));
        await Named(given, 1);

        await given.Send(Event("purchase", "a", now - (3 * Day)), Event("purchase", "a", now - 1000));

        Shown((await Named(given, 1))[0]).ShouldBe((3, now - (3 * Day), now - 1000));
    }

    [Fact]
    public async Task A_name_says_whether_anything_counts_its_events()
    {
        var given = await Given.AnEnvironment(service);
        var now = Now();
        await given.ARunningExperimentWithAMetric();
        await given.AMetric("funnel", "funnel", new { steps = new[] { new { @event = "view" }, new { @event = "purchase" } } });

        await given.Send(
            Event("purchase", "a", now - 1000),
            Event("view", "a", now - 2000),
            Event("typo", "a", now - 3000),
            new
            {
                @event = "$flag_exposure",
                feature_name = "f",
                identifier = "a",
                timestamp = now - 4000,
            }
        );

        (await Named(given, 4))
            .Select(name => (name["event"]!.GetValue<string>(), name["metrics"]!.GetValue<int>(), name["experiments"]!.GetValue<int>()))
            .ShouldBe([("purchase", 2, 1), ("view", 1, 0), ("typo", 0, 0), ("$flag_exposure", 0, 1)]);
    }

    [Fact]
    public async Task Names_are_found_by_a_part_of_them_and_come_page_by_page()
    {
        var given = await Given.AnEnvironment(service);
        var now = Now();
        await given.Send(Event("Purchase 100%", "a", now - 3000), Event("repurchase", "a", now - 2000), Event("view", "a", now - 1000));
        await Named(given, 3);

        Found((await Names(given, "?q=PURCHASE")).Must(200)).ShouldBe(["repurchase", "Purchase 100%"]);
        Found((await Names(given, "?q=%25")).Must(200)).ShouldBe(["Purchase 100%"]);
        (await Names(given, "?q=nothing")).Must(200)["count"].GetValue<int>().ShouldBe(0);
        var second = (await Names(given, "?page=2&page_size=2")).Must(200);
        Found(second).ShouldBe(["Purchase 100%"]);
        second["count"].GetValue<int>().ShouldBe(3);
        second["previous"].GetValue<string>().ShouldContain("page=1");
        (await Names(given, "?page=3&page_size=2")).MustBe(404, "page.not_found");
        (await Names(given, "?page=x")).MustName("page");
        (await Names(given, "?page_size=0")).MustName("page_size");
    }

    [Fact]
    public async Task The_names_of_another_environment_are_not_shown()
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        await theirs.Send(Event("secret", "a", Now() - 1000));
        await Named(theirs, 1);

        (await Names(ours)).Must(200)["count"].GetValue<int>().ShouldBe(0);
        (await service.AsUser("stranger").Get($"{theirs.Root}/events/names/")).MustBe(403, "access.denied");
    }

    [Fact]
    public async Task A_flag_is_to_be_implemented_until_one_who_was_shown_it_does_something_that_matters()
    {
        var given = await Given.AnEnvironment(service);
        var feature = (await given.AFeature())["name"].GetValue<string>();
        var now = Now();

        (await Required(given, "event=purchase"))
            .Must(200)
            .Text.ShouldBe(
                """{"result":true,"days":7,"events":[{"event":"purchase","count":"""
                    + """0,"last_seen":null,"from_exposed":0,"from_exposed_last_seen":null}]}"""
            );

        await given.Send(
            Event("purchase", "stranger", now - 1000),
            Event("purchase", null, now - 900),
            Event("purchase", "", now - 800),
            Exposure(feature, "alice", now - 2000),
            Exposure(feature, null, now - 2000),
            Exposure(feature, "", now - 2000)
        );
        var before = (await Required(given, "event=purchase&event=signup")).Must(200);
        before["result"].GetValue<bool>().ShouldBeTrue();
        Seen(before, 0).ShouldBe(("purchase", 3, now - 800, 0, null));
        Seen(before, 1).ShouldBe(("signup", 0, null, 0, null));

        // Sent twice, it is one; shown twice, she is one.
        await given.Send(Event("purchase", "alice", now - 3000), Exposure(feature, "alice", now - 1500));
        await given.Send(Event("purchase", "alice", now - 3000));
        var after = (await Required(given, "event=purchase&event=signup&event=purchase")).Must(200);
        after["result"].GetValue<bool>().ShouldBeFalse();
        after["events"].AsArray().Count.ShouldBe(2);
        Seen(after, 0).ShouldBe(("purchase", 4, now - 800, 1, now - 3000));
        (await Required(given, "event=signup")).Must(200)["result"].GetValue<bool>().ShouldBeTrue();
    }

    [Fact]
    public async Task Only_the_last_seven_days_say_whether_a_flag_is_implemented()
    {
        var given = await Given.AnEnvironment(service);
        var feature = (await given.AFeature())["name"].GetValue<string>();
        var (now, old, young) = (Now(), Now() - (7 * Day) - 60_000, Now() - (7 * Day) + 60_000);
        await given.Send(
            Exposure(feature, "then", old),
            Event("purchase", "then", now - 1000),
            Exposure(feature, "now", now - 1000),
            Event("purchase", "now", old)
        );

        var none = (await Required(given, "event=purchase")).Must(200);
        none["result"].GetValue<bool>().ShouldBeTrue();
        Seen(none, 0).ShouldBe(("purchase", 1, now - 1000, 0, null));

        await given.Send(Exposure(feature, "week", young), Event("purchase", "week", young));
        var one = (await Required(given, "event=purchase")).Must(200);
        one["result"].GetValue<bool>().ShouldBeFalse();
        Seen(one, 0).ShouldBe(("purchase", 2, now - 1000, 1, young));
    }

    [Fact]
    public async Task The_exposures_of_another_flag_and_of_another_environment_do_not_count()
    {
        var theirs = await Given.AnEnvironment(service);
        var given = await theirs.Stranger();
        var (flag, other, foreign) = (await given.AFeature(), await given.AFeature(), await theirs.AFeature());
        var now = Now();
        await given.Send(Exposure(other["name"].GetValue<string>(), "alice", now - 1000), Event("purchase", "alice", now - 500));
        await theirs.Send(Exposure(flag["name"].GetValue<string>(), "bob", now - 1000), Event("purchase", "bob", now - 500));

        (await Required(given, "event=purchase")).Must(200)["result"].GetValue<bool>().ShouldBeFalse();
        (await Required(given, $"event=purchase&feature={other.Id}")).Must(200)["result"].GetValue<bool>().ShouldBeFalse();
        var own = (await Required(given, $"event=purchase&feature={flag.Id}")).Must(200);
        own["result"].GetValue<bool>().ShouldBeTrue();
        Seen(own, 0).ShouldBe(("purchase", 1, now - 500, 0, null));
        var refused = (await Required(given, $"event=purchase&feature={foreign.Id}")).MustName("feature");
        refused["errors"]
            .ToJsonString()
            .ShouldBe((await Required(given, "event=purchase&feature=987654321")).MustName("feature")["errors"].ToJsonString());
    }

    [Theory]
    [InlineData("", "event")]
    [InlineData("event=", "event")]
    [InlineData("event=purchase&event=%20", "event")]
    [InlineData("event=a%00b", "event")]
    [InlineData("event=purchase&feature=x", "feature")]
    [InlineData("event=purchase&feature=-1", "feature")]
    [InlineData("event=purchase&feature=", "feature")]
    [InlineData("event=purchase&feature=1&feature=2", "feature")]
    [InlineData("event=&feature=x", "event", "feature")]
    public async Task What_is_asked_wrongly_is_named(string query, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await Required(given, query)).MustName(fields);
    }

    [Fact]
    public async Task Twenty_events_may_be_asked_for_at_once_and_not_one_more()
    {
        var given = await Given.AnEnvironment(service);

        (await Required(given, string.Join('&', Enumerable.Range(0, 20).Select(n => $"event=e{n}"))))
            .Must(200)["events"]
            .AsArray()
            .Count.ShouldBe(20);
        (await Required(given, string.Join('&', Enumerable.Range(0, 21).Select(n => $"event=e{n}")))).MustName("event");
    }

    [Fact]
    public async Task Whatever_name_an_event_can_have_can_be_asked_for()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();
        var name = string.Concat(Enumerable.Repeat("🧪", 256));
        await given.Send(Event(name, "a", Now() - 1000));

        (await Required(given, $"feature={feature.Id}&event={Uri.EscapeDataString(name)}")).Must(200)["events"][0]!["count"]!
            .GetValue<long>()
            .ShouldBe(1);
        (await Required(given, $"feature={feature.Id}&event={Uri.EscapeDataString(name)}x")).MustName("event");
    }

    private static object Event(string name, string? identifier, long at) =>
        new
        {
            @event = name,
            identifier,
            timestamp = at,
        };

    private static object Exposure(string feature, string? identifier, long at) =>
        new
        {
            @event = "$flag_exposure",
            feature_name = feature,
            identifier,
            value = "control",
            timestamp = at,
        };

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private static long? Instant(JsonNode? at) => at is null ? null : new DateTimeOffset(at.GetValue<DateTime>()).ToUnixTimeMilliseconds();

    private static (long Count, long? First, long? Last) Shown(JsonNode name) =>
        (name["count"]!.GetValue<long>(), Instant(name["first_seen"]), Instant(name["last_seen"]));

    private static (string Event, long Count, long? Last, long FromExposed, long? LastFromExposed) Seen(Reply reply, int place)
    {
        var seen = reply["events"][place]!;
        return (
            seen["event"]!.GetValue<string>(),
            seen["count"]!.GetValue<long>(),
            Instant(seen["last_seen"]),
            seen["from_exposed"]!.GetValue<long>(),
            Instant(seen["from_exposed_last_seen"])
        );
    }

    private static string[] Found(Reply reply) => [.. reply["results"].AsArray().Select(name => name!["event"]!.GetValue<string>())];

    private static Task<Reply> Names(Given given, string query = "") => given.Admin.Get($"{given.Root}/events/names/{query}");

    private static Task<Reply> Required(Given given, string query) =>
        given.Admin.Get($"{given.Experiments}requires-flag-implementation/?{query}");

    /// <summary>The names, of which there are so many, when nothing waits to be counted any more.</summary>
    private async Task<List<JsonNode>> Named(Given given, int count)
    {
        await Given.Eventually(async () =>
            await service.Query<long>(
                "SELECT count(*) FROM event_batches b JOIN environments e ON e.id = b.environment_id WHERE e.key = @Key",
                new { given.Key }
            ) == 0
        );
        var names = (await Names(given)).Must(200);
        names["count"].GetValue<int>().ShouldBe(count);
        return [.. names["results"].AsArray().Select(name => name!)];
    }
}
