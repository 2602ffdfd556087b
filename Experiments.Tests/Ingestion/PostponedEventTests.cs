using System.Text.Json.Nodes;

namespace Experiments.Tests.Ingestion;

/// <summary>Events that come while events are moving to another store.</summary>
public class PostponedEventTests(QuietService service) : IClassFixture<QuietService>
{
    private const string Waiting = "SELECT count(*) FROM postponed_events";

    private static readonly string Other = TestEventStore.IsClickHouse ? "postgresql" : "clickhouse";

    private static readonly long Now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    [Fact]
    public async Task They_are_acknowledged_and_wait_and_count_once_when_that_is_done()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        var before = Purchase("before", id: "b");
        await given.Send(before);
        await given.ExposeAndConvert(experiment, 3);
        await given.Counted(experiment);

        await Begin();
        var receipt = await given.Send(
            Purchase("during", id: "d"),
            Purchase("during"),
            Purchase("during"),
            Purchase("before", id: "b"),
            Purchase(null)
        );
        receipt["accepted"].GetValue<int>().ShouldBe(5);
        receipt.Text.ShouldContain("\"duplicates\":null");
        await given.Send(Purchase("during", id: "d"));
        await given.ExposeAndConvert(experiment, 10);
        (await service.Query<long>(Waiting)).ShouldBe(26);
        await Task.Delay(1500);
        var exposures = await given.Exposures(experiment);
        (exposures["total"].GetValue<int>(), exposures["events_not_counted"].GetValue<int>()).ShouldBe((3, 26));

        await End();
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(10);
        (await service.Query<long>(Waiting)).ShouldBe(0);
        (await service.Query<long>("SELECT count(*) FROM event_arrivals")).ShouldBe(0);
        // Of the converted, those that came twice did so at other times; all others came once.
        var count = await service.Query<long>(
            "SELECT count(*) FROM events e JOIN environments n ON n.id = e.environment_id WHERE n.key = @Key AND event = 'purchase'",
            new { given.Key }
        );
        count.ShouldBe(1 + 3 + 3 + 1 + 10);
    }

    [Fact]
    public async Task What_counts_by_when_it_came_counts_as_if_it_had_not_waited()
    {
        var given = await Given.AnEnvironment(service);
        await Begin();
        var ahead = Now + (3600 * 1000);
        await given.Send(
            new
            {
                @event = "ahead",
                identifier = "u",
                timestamp = ahead,
            }
        );
        var came = await service.Query<DateTime>("SELECT max(received_at) FROM event_arrivals");
        await Task.Delay(1200);

        await End();
        await Given.Eventually(async () => await service.Query<long>(Waiting) == 0);
        var happened = await service.Query<DateTime>(
            "SELECT max(happened_at) FROM events e JOIN environments n ON n.id = e.environment_id WHERE n.key = @Key",
            new { given.Key }
        );
        happened.ShouldBe(came);
        var batch = await service.Query<long>(
            "SELECT max(batch) FROM events e JOIN environments n ON n.id = e.environment_id WHERE n.key = @Key",
            new { given.Key }
        );
        DateTime.UnixEpoch.AddMilliseconds(batch >> 20).ShouldBe(came, TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public async Task Those_of_long_identifiers_wait_like_others()
    {
        var given = await Given.AnEnvironment(service);
        var random = new Random(1);
        var identifier = string.Concat(Enumerable.Range(0, 2000).Select(_ => (char)random.Next(0x4e00, 0x9fff)));
        await Begin();
        await given.Send(Purchase(identifier), Purchase("short"));

        (await service.Query<long>(Waiting)).ShouldBe(2);
        await End();

        await Given.Eventually(async () => await service.Query<long>(Waiting) == 0);
        (await Identifiers(given)).ShouldBe(["short", identifier], ignoreOrder: true);
    }

    [Fact]
    public async Task Who_is_erased_is_erased_from_those_that_wait_as_well()
    {
        var given = await Given.AnEnvironment(service);
        await Begin();
        await given.Send(Purchase("gone"), Purchase("stays"));
        await given.Send(Purchase("gone", id: "alone"));
        await End();

        (await given.Admin.Post($"{given.Root}/identities/erase/", new { identifier = "gone" })).Must(200);

        await Given.Eventually(async () => await service.Query<long>("SELECT count(*) FROM event_arrivals") == 0);
        (await Identifiers(given)).ShouldBe(["stays"]);
    }

    [Fact]
    public async Task A_batch_of_which_nothing_is_left_or_that_cannot_be_stored_holds_up_no_other()
    {
        var given = await Given.AnEnvironment(service);
        await Begin();
        await given.Send(Purchase("nothing"));
        await given.Send(Purchase("unreadable"));
        await given.Send(Purchase("stays"));
        await service.Execute("DELETE FROM postponed_events WHERE identifier = 'nothing'");
        if (!TestEventStore.IsClickHouse)
        {
            // ClickHouse would take any text.
            await service.Execute("UPDATE postponed_events SET metadata = '{' WHERE identifier = 'unreadable'");
        }

        await End();

        await Given.Eventually(async () => (await Identifiers(given)).Contains("stays"));
        if (!TestEventStore.IsClickHouse)
        {
            (await service.Query<long>("SELECT count(*) FROM event_arrivals")).ShouldBe(1);
            await service.Execute("UPDATE postponed_events SET metadata = NULL");
        }

        await Given.Eventually(async () => await service.Query<long>("SELECT count(*) FROM event_arrivals") == 0);
        (await Identifiers(given)).ShouldBe(["stays", "unreadable"], ignoreOrder: true);
    }

    private Task<IReadOnlyList<string>> Identifiers(Given given) =>
        service.QueryAll<string>(
            "SELECT identifier FROM events e JOIN environments n ON n.id = e.environment_id WHERE n.key = @Key",
            new { given.Key }
        );

    private static JsonObject Purchase(string? identifier, string? id = null) =>
        new()
        {
            ["event"] = "purchase",
            ["identifier"] = identifier,
            ["id"] = id,
            ["timestamp"] = Now,
        };

    private Task Begin() => service.Execute("UPDATE event_store SET moving_to = @Other", new { Other });

    private Task End() => service.Execute("UPDATE event_store SET moving_to = NULL");
}
