using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Experiments.Tests.Ingestion;

public class RetentionTests(TestService service) : WholeInstanceTests(service)
{
    private static readonly DateTime January = new(2025, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    [Fact]
    public async Task Months_that_are_old_and_needed_by_no_experiment_are_dropped()
    {
        var given = await Given.AnEnvironment(Service);
        var experiment = await given.AnExperimentThatIs("running");
        var months = Service.Services.GetRequiredService<IEventRetention>();
        foreach (var month in new[] { -2, -1, 0, 1, 2 })
        {
            (
                await given.Send(
                    new
                    {
                        @event = "e",
                        id = $"{month}",
                        timestamp = new DateTimeOffset(January.AddMonths(month).AddDays(10)).ToUnixTimeMilliseconds(),
                    }
                )
            ).Must(202);
        }

        await Given.Eventually(async () => await Service.Query<long>("SELECT count(*) FROM event_batches") == 0);

        // There, what happened in the time before the start that metrics look back on is read again and again.
        var lookback = TestEventStore.IsClickHouse ? 30 : 0;
        // It started early in January, and runs. A slow clock may have put events of it into December.
        await Started("started_at = @at, runs = tstzmultirange(tstzrange(@at, NULL))", January.AddDays(5 + lookback));
        (await months.Drop(January.AddMonths(3), TimeSpan.FromHours(24), CancellationToken.None)).ShouldBe(["events_2024_11"]);
        await Started("started_at = @at, runs = tstzmultirange(tstzrange(@at, NULL))", January.AddDays(9 + lookback));
        (await months.Drop(January.AddMonths(3), TimeSpan.FromHours(24), CancellationToken.None)).ShouldBe(["events_2024_12"]);

        // It ended an hour ago, so late events still count.
        await Started(
            "status = 'completed', ended_at = now() - interval '1 hour', runs = tstzmultirange(tstzrange(@at, now() - interval '1 hour'))",
            January.AddDays(9 + lookback)
        );
        (await months.Drop(January.AddMonths(3), TimeSpan.FromHours(24), CancellationToken.None)).ShouldBeEmpty();

        (await months.Drop(January.AddMonths(2), TimeSpan.FromMinutes(59), CancellationToken.None)).ShouldBe([
            "events_2025_01",
            "events_2025_02",
        ]);
        (await given.Stored()).Count.ShouldBe(1);
        if (!TestEventStore.IsClickHouse)
        {
            (await Service.Query<long>("SELECT count(*) FROM event_ids")).ShouldBe(1);
        }

        Task Started(string how, DateTime at) => Service.Execute($"UPDATE experiments SET {how} WHERE id = @Id", new { experiment.Id, at });
    }

    [Fact]
    public async Task The_setting_says_how_old_events_become()
    {
        Assert.SkipWhen(TestEventStore.IsClickHouse, "ClickHouse makes months by itself.");
        var app = await TestService.Start(Service.ConnectionString, "--Events:Retention=60.00:00:00");
        var job = app.Services.GetServices<IHostedService>().OfType<RetentionJob>().Single();
        await using var database = new DatabaseServer(Service.ConnectionString, null);
        var (old, recent) = (DateTime.UtcNow.AddDays(-130), DateTime.UtcNow.AddDays(-40));
        await new Partitions(database).Make(old, old, CancellationToken.None);
        await new Partitions(database).Make(recent, recent, CancellationToken.None);

        await job.Run(CancellationToken.None);

        (await Months($"begins <= '{old:O}'")).ShouldBe(0);
        (await Months($"begins <= '{recent:O}'")).ShouldBe(1);
        await app.StopAsync();
        await app.DisposeAsync();

        Task<long> Months(string which) => Service.Query<long>($"SELECT count(*) FROM event_partitions WHERE {which}");
    }

    [Fact]
    public async Task The_months_to_come_are_made_ahead()
    {
        Assert.SkipWhen(TestEventStore.IsClickHouse, "ClickHouse makes months by itself.");
        await Given.Eventually(async () => await Service.Query<long>("SELECT count(*) FROM event_partitions WHERE begins > now()") >= 1);
    }

    [Fact]
    public async Task Many_that_make_the_same_month_at_once_make_it_once()
    {
        Assert.SkipWhen(TestEventStore.IsClickHouse, "ClickHouse makes months by itself.");
        await using var database = new DatabaseServer(Service.ConnectionString, null);
        var partitions = new Partitions(database);

        await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(_ => partitions.Make(January.AddYears(15), January.AddYears(15).AddMonths(5), CancellationToken.None))
        );

        (await Service.Query<long>("SELECT count(*) FROM event_partitions WHERE begins > '2039-01-01'")).ShouldBe(6);
    }
}
