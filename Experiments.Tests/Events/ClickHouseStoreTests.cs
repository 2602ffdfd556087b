using System.Text.Json.Nodes;
using Experiments.Api.ClickHouse;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Experiments.Tests.Events;

/// <summary>What is particular to events in ClickHouse. Everything else is the same, and tested by the tests of everything else.</summary>
public class ClickHouseStoreTests(ClickHouseService service) : IClassFixture<ClickHouseService>
{
    private static readonly long Now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task An_event_counts_once_however_often_and_in_whatever_batches_it_is_sent()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await given.ExposeAndConvert(experiment, 20);
        var events = Enumerable
            .Range(0, 300)
            .Select(n =>
                (object)
                    new JsonObject
                    {
                        ["event"] = $"e{n % 3}",
                        ["identifier"] = $"u{n % 50}",
                        ["timestamp"] = Now + n,
                        ["id"] = n % 2 == 0 ? $"{n}" : null,
                    }
            )
            .ToArray();

        for (var time = 0; time < 3; time++)
        {
            Random.Shared.Shuffle(events);
            await Task.WhenAll(
                events.Chunk(40 + (30 * time)).Select(chunk => given.Send([.. chunk.Select(one => ((JsonObject)one).DeepClone())]))
            );
        }

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(20);
        await Given.Eventually(async () =>
            await service.Query<long>(
                "SELECT COALESCE(sum(count), 0)::bigint FROM event_names n JOIN environments e ON e.id = n.environment_id "
                    + "WHERE e.key = @Key AND event LIKE 'e_'",
                new { given.Key }
            ) == 300
        );
        var stored = await EventsOf(
            given,
            "SELECT toInt64(count()) FROM events WHERE environment_id = {environment:Int64} AND event LIKE 'e_'"
        );
        var once = await EventsOf(
            given,
            "SELECT toInt64(count()) FROM events FINAL WHERE environment_id = {environment:Int64} AND event LIKE 'e_'"
        );
        (stored, once).ShouldBe((stored, 300));
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task What_a_replica_wrote_that_died_before_it_was_queued_is_counted()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");
        var (environmentId, salt) = (await EnvironmentId(given), await given.Salt(experiment));
        var own = Assignment.Variant(salt, "the one", Assignment.Cumulate([50, 50])) == 0 ? "control" : "green";
        var batch = EventBatchParser
            .Read(
                System.Text.Encoding.UTF8.GetBytes(
                    $$"""
                    {"events": [{"event": "$flag_exposure", "feature_name": "{{experiment["feature"]["name"]}}", "identifier": "the one",
                        "value": "{{own}}", "timestamp": {{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()}} }]}
                    """
                ),
                environmentId,
                DateTime.UtcNow
            )
            .Value!;
        batch.Sort();
        var source = service.Services.GetRequiredService<NpgsqlDataSource>();
        var server = service.Services.GetRequiredService<ClickHouseShards>();

        // One that wrote, and one that did not come to it.
        var wrote = (await ArrivalQueue.Announce(source, [(environmentId, [batch])], CancellationToken.None)).Single();
        await ArrivalQueue.Announce(source, [(environmentId, [batch])], CancellationToken.None);
        await server.Insert<ClickHouseArrival>(
            "arrivals",
            [new(environmentId, wrote.Id, "$flag_exposure", Identity.Key("the one"))],
            CancellationToken.None
        );
        await server.Insert<ClickHouseEvent>(
            "events",
            [new(environmentId, batch.Events[0], hasId: false, batch.Events[0].At, wrote.Id)],
            CancellationToken.None
        );
        await Task.Delay(1500);
        (await given.Exposures(experiment))["total"].GetValue<int>().ShouldBe(0);
        await service.Execute("UPDATE event_arrivals SET received_at = received_at - interval '2 minutes'");

        await Given.Eventually(async () => (await given.Exposures(experiment))["total"].GetValue<int>() == 1);
        (await service.Query<long>("SELECT count(*) FROM event_arrivals")).ShouldBe(0);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task What_is_being_written_while_its_identity_is_erased_counts()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        var (environmentId, salt) = (await EnvironmentId(given), await given.Salt(experiment));
        var value = Assignment.Variant(salt, "u", Assignment.Cumulate([50, 50])) == 0 ? "control" : "green";
        var name = experiment["feature"]["name"]!.GetValue<string>();
        var batch = new EventBatch();
        batch.Accept(new(DateTime.UtcNow, 7, null, "$flag_exposure", name, "u", value, null, null));
        var source = service.Services.GetRequiredService<NpgsqlDataSource>();
        var server = service.Services.GetRequiredService<ClickHouseShards>();
        var wrote = (await ArrivalQueue.Announce(source, [(environmentId, [batch])], CancellationToken.None)).Single();
        await server.Insert<ClickHouseArrival>(
            "arrivals",
            [new(environmentId, wrote.Id, "$flag_exposure", Identity.Key("u"))],
            CancellationToken.None
        );

        (await given.Admin.Post($"{given.Root}/identities/erase/", new { identifier = "u" })).Must(200);
        await server.Insert<ClickHouseEvent>(
            "events",
            [new(environmentId, batch.Events[0], hasId: false, batch.Events[0].At, wrote.Id)],
            CancellationToken.None
        );
        await ArrivalQueue.Queue(source, [wrote], CancellationToken.None);

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task One_that_is_away_stops_neither_flags_nor_management_and_nothing_is_lost()
    {
        await using var forwarder = new Forwarder(service.Server.Port);
        var connection = service.Events.Replace($":{service.Server.Port}", $":{forwarder.Port}", StringComparison.Ordinal);
        await using var away = new OtherService(service, connection);
        await away.InitializeAsync();
        var given = await Given.AnEnvironment(away);
        var experiment = await given.ARunningExperimentWithAMetric();

        var refused = await given.SendAny(new { @event = "purchase", timestamp = Now });
        refused.MustBe(503, "service.unavailable").Headers.RetryAfter.ShouldNotBeNull();
        (await given.Sdk.Get("/api/v1/flags/")).Must(200);
        (await given.Results(experiment))["total"].GetValue<int>().ShouldBe(0);

        forwarder.Open();
        await given.ExposeAndConvert(experiment, 10);
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(10);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_retry_does_not_bring_back_who_was_erased_and_new_events_count_anew()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await given.ExposeAndConvert(experiment, 5);
        var extra = new
        {
            @event = "purchase",
            identifier = "u3",
            id = "order-1",
            timestamp = Now,
        };
        await given.Send(extra);
        await given.Counted(experiment);

        (await given.Admin.Post($"{given.Root}/identities/erase/", new { identifier = "u3" })).Must(200);
        (
            await EventsOf(given, "SELECT toInt64(count()) FROM events WHERE environment_id = {environment:Int64} AND identifier = 'u3'")
        ).ShouldBe(0);
        await given.Send(extra);
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(4);
        (await given.Admin.Post($"{given.Root}/identities/export/", new { identifier = "u3" }))
            .Must(200)["event_count"]
            .GetValue<int>()
            .ShouldBe(0);

        await given.Send(
            new
            {
                @event = "purchase",
                identifier = "u3",
                id = "order-2",
                timestamp = Now,
            }
        );
        (await given.Admin.Post($"{given.Root}/identities/export/", new { identifier = "u3" }))
            .Must(200)["event_count"]
            .GetValue<int>()
            .ShouldBe(1);
    }

    private async Task<long> EventsOf(Given given, string sql)
    {
        var environment = await EnvironmentId(given);
        return await service
            .Services.GetRequiredService<ClickHouseShards>()
            .Sum(sql, new Dictionary<string, object> { ["environment"] = environment }, CancellationToken.None);
    }

    private Task<long> EnvironmentId(Given given) => service.Query<long>("SELECT id FROM environments WHERE key = @Key", new { given.Key });
}
