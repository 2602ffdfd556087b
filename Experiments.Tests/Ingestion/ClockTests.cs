using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Tests.Ingestion;

/// <summary>Clients whose clocks are fast or slow.</summary>
public class ClockTests(SharedService service) : IClassFixture<SharedService>
{
    private const long Second = 1000;
    private const long Hour = 3600 * Second;
    private const long Day = 24 * Hour;

    private const string When = """
        SELECT (extract(epoch FROM v.happened_at - v.at) * 1000)::bigint
        FROM events v JOIN environments e ON e.id = v.environment_id WHERE e.key = @Key ORDER BY v.at
        """;

    [Fact]
    public void The_slack_of_statements_is_the_largest_difference_between_the_two_clocks() =>
        ClockSkew.Slack.ShouldBe($"interval '{ClockSkew.SlackTime.TotalDays} days'");

    [Fact]
    public async Task Nothing_happens_after_it_arrived()
    {
        var given = await Given.AnEnvironment(service);
        var sent = Now();

        await given.Send(Purchase("a", sent - Hour), Purchase("b", sent + 3 * Second), Purchase("c", sent + (23 * Hour)));

        var moved = await service.QueryAll<long>(When, new { given.Key });
        moved[0].ShouldBe(0);
        moved[1].ShouldBeInRange(-3 * Second, -1);
        moved[2].ShouldBeInRange(-23 * Hour, (-23 * Hour) + (30 * Second));
    }

    [Fact]
    public async Task A_fast_exposure_does_not_lose_the_conversion_that_a_server_sends_after_it()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        // Later events of the same identity carry the time of a server.
        await given.Send(await Exposure(given, experiment, "user-1", Now() + (3 * Second)));
        await Task.Delay(20);
        await given.Send(Purchase("user-1", Now()));

        var results = await given.Results(experiment, 1);

        results["metrics"][0]!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(1, results.Text);
    }

    [Theory]
    [InlineData(-2 * Hour)]
    [InlineData(2 * Hour)]
    [InlineData(-6 * Day)]
    [InlineData(6 * Day)]
    public async Task When_a_request_was_sent_corrects_the_clock_of_its_events(long skew)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        var client = Now() + skew;
        var exposure = await Exposure(given, experiment, "user-1", client - 300);

        // After the events as well as before them.
        await Post(given, client, exposure);
        await Post(given, client, Purchase("user-1", client - 100), first: true);

        var moved = await service.QueryAll<long>(When, new { given.Key });
        moved.ShouldAllBe(by => Math.Abs(by + skew) < 30 * Second);
        moved[0].ShouldNotBe(-skew - 300_000);
        var stored = await service.QueryAll<long>(
            "SELECT (extract(epoch FROM v.at) * 1000)::bigint FROM events v JOIN environments e ON e.id = v.environment_id "
                + "WHERE e.key = @Key ORDER BY 1",
            new { given.Key }
        );
        stored.ShouldBe([client - 300, client - 100]);
    }

    [Fact]
    public async Task The_correction_is_that_of_the_first_arrival()
    {
        var given = await Given.AnEnvironment(service);
        var client = Now() - (5 * Hour);
        object[] events = [Purchase("a", client - 1000), Purchase("a", client - 1000), WithId("b", client - 900)];

        var receipt = (await Post(given, client, events)).Must(202);
        receipt.ShouldHaveDuplicates(0);
        receipt["clock_skew_ms"].GetValue<long>().ShouldBeInRange(5 * Hour, (5 * Hour) + (30 * Second));
        var first = await service.QueryAll<long>(When, new { given.Key });
        // The same once more, with another clock, with none, and with one that cannot be right.
        (await Post(given, client + Hour, events))
            .Must(202)
            .ShouldHaveDuplicates(3);
        (await given.Send(events)).ShouldHaveDuplicates(3);
        var uncorrected = (await Post(given, client - (30 * Day), events)).Must(202);
        uncorrected.ShouldHaveDuplicates(3);
        uncorrected.Json!["clock_skew_ms"].ShouldBeNull();

        (await service.QueryAll<long>(When, new { given.Key })).ShouldBe(first);
        first.ShouldAllBe(by => Math.Abs(by - (5 * Hour)) < 30 * Second);
    }

    [Fact]
    public async Task Timestamps_may_be_a_day_ahead_of_the_corrected_clock()
    {
        var given = await Given.AnEnvironment(service);
        var client = Now() + (3 * Day);

        var receipt = (await Post(given, client, Purchase("a", client), Purchase("b", client + (2 * Day)), "no event")).Must(202);
        receipt["accepted"].GetValue<int>().ShouldBe(1);
        receipt["rejected"]
            .AsArray()
            .Select(one => one!["error"]!.GetValue<string>())
            .ShouldBe(["events[1].timestamp is more than 24 hours ahead", "events[2] must be an object"]);
        // Without the clock nothing explains them.
        (await given.SendAny(Purchase("c", client))).MustName("events[0].timestamp");
        // A clock that is too far off is no clock.
        (await Post(given, Now() + (9 * Day), Purchase("d", Now() + (8 * Day)))).MustName("events[0].timestamp");
    }

    [Fact]
    public async Task When_it_was_sent_is_milliseconds_or_a_date()
    {
        var given = await Given.AnEnvironment(service);
        var client = DateTimeOffset.UtcNow.AddHours(-3);
        object[] events = [Purchase("a", client.ToUnixTimeMilliseconds())];

        foreach (var wrong in new object[] { "yesterday", true, -5, 1e300, new[] { 1 } })
        {
            (await given.Sdk.Post("/v1/events", new { events, sent_at = wrong })).MustName("sent_at");
        }

        (
            await given.Sdk.PostText(
                "/v1/events",
                """{"sent_at": "\ud800aaaaaaaa", "events": [{"event": "e", "timestamp": 1795348800000}]}"""
            )
        ).MustName("sent_at");
        (await given.Stored()).ShouldBeEmpty();
        (await given.Sdk.Post("/v1/events", new { events, sent_at = client.ToString("O") })).Must(202).Json!["ignored"].ShouldBeNull();
        (await service.QueryAll<long>(When, new { given.Key }))
            .ShouldHaveSingleItem()
            .ShouldBeInRange(3 * Hour, (3 * Hour) + (30 * Second));
        (await given.Sdk.Post("/v1/events", new { events, sent_at = (string?)null })).Must(202);
    }

    [Fact]
    public async Task Counting_again_from_the_events_counts_the_corrected_time()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        // What is sent below happened after the start.
        await Task.Delay(250);
        var client = Now() - (3 * Day);
        await Post(given, client, await Exposure(given, experiment, "user-1", client - 200), Purchase("user-1", client - 100));
        var before = await given.Results(experiment, 1);

        await using var source = NpgsqlDataSource.Create(service.ConnectionString);
        RebuildReport? report = null;
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None))
                is not null
        );

        report.ShouldBe(new(1, 0, 0));
        var after = await given.Results(experiment, 1);
        after["metrics"][0]!["arms"]!.ToJsonString().ShouldBe(before["metrics"][0]!["arms"]!.ToJsonString());
        after["metrics"][0]!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(1);
        // A metric that is added later finds it as well.
        var late = await given.AMetric("count");
        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/metrics/", new { metric = late.Id, role = "secondary" })).Must(201);
        (await given.Results(experiment, 1))["metrics"][1]!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(1);
    }

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private static Task<Reply> Post(Given given, long sentAt, params object[] events) => Post(given, sentAt, events, first: false);

    private static Task<Reply> Post(Given given, long sentAt, object one, bool first) => Post(given, sentAt, [one], first);

    private static Task<Reply> Post(Given given, long sentAt, object[] events, bool first) =>
        first
            ? given.Sdk.Post("/v1/events", new { sent_at = sentAt, events })
            : given.Sdk.Post("/v1/events", new { events, sent_at = sentAt });

    private static object Purchase(string identifier, long timestamp) =>
        new
        {
            @event = "purchase",
            identifier,
            timestamp,
        };

    private static object WithId(string id, long timestamp) =>
        new
        {
            @event = "purchase",
            identifier = "a",
            timestamp,
            id,
        };

    private static async Task<object> Exposure(Given given, Reply experiment, string identifier, long timestamp) =>
        new
        {
            @event = "$flag_exposure",
            feature_name = experiment["feature"]["name"]!.GetValue<string>(),
            identifier,
            timestamp,
            value = Assignment.Variant(await given.Salt(experiment), identifier, Assignment.Cumulate([50, 50])) == 0 ? "control" : "green",
        };
}
