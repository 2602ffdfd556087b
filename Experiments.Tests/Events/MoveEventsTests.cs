using System.Text.Json.Nodes;
using Experiments.Api.ClickHouse;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Tests.Warehouse;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Experiments.Tests.Events;

/// <summary>Events move to ClickHouse and back.</summary>
public class MoveEventsTests(TestCluster cluster, ClickHouseWarehouse server) : IClassFixture<ClickHouseWarehouse>
{
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task They_move_to_ClickHouse_and_back_and_every_identity_counts_the_same()
    {
        var database = await cluster.NewDatabase();
        var events = TestEventStore.ConnectionString(server, database);
        long environmentId;
        long experimentId;
        string[] before;
        var sent = 0;
        await using (var service = new OneService(database))
        {
            await service.InitializeAsync();
            var given = await Given.AnEnvironment(service);
            var metrics = await RandomWorld.EveryKindOfMetric(given);
            var experiment = await given.AnExperimentWith([
                .. metrics.Select(metric => (object)new { metric = metric.Id, expected_direction = "increase" }),
            ]);
            (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { breakdowns = new[] { "country", "plan" } })).Must(200);
            await given.Start(experiment);
            await RandomWorld.MoveBack(service, experiment);
            await SendRandom(given, experiment, seed: 1);
            (experimentId, environmentId) = (
                experiment.Id,
                await service.Query<long>("SELECT id FROM environments WHERE key = @Key", new { given.Key })
            );
            await Given.Eventually(() => service.Query<bool>(RandomWorld.HasMatured));
            before = [.. await service.QueryAll<string>(RandomWorld.Sums, new { experiment.Id })];

            before.Length.ShouldBeGreaterThan(10);
            // While the service runs: first most of them, and then the rest.
            (await Move(database, events, "clickhouse")).ExitCode.ShouldBe(0);
            await given.Send(
                new
                {
                    @event = "late",
                    identifier = "user-1",
                    timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
                }
            );
            var moved = await While(Move(database, events, "clickhouse", "--switch"), () => SendOne(given, ref sent));
            (moved.ExitCode, moved.Error).ShouldBe((0, ""));
            moved.Output.ShouldContain("Compared 1 unfinished experiments: every identity counts the same.");

            // One that is set to where they were keeps those that come until there is one that takes them.
            await SendOne(given, ref sent);
            (await service.Query<long>("SELECT count(*) FROM events")).ShouldBe(0);
            (await service.Query<long>("SELECT count(*) FROM postponed_events")).ShouldBeGreaterThan(0);
        }

        // Set to where they were, it does not start.
        var (exitCode, error) = await Started(database);
        exitCode.ShouldBe(1);
        error.ShouldContain("move-events --to postgresql");

        await using (var service = new OneService(database, events))
        {
            await service.InitializeAsync();
            await Given.Eventually(async () =>
                await service.Query<long>("SELECT COALESCE(sum(count), 0)::bigint FROM event_names WHERE event = 'during'") == sent
            );
            (await service.QueryAll<string>(RandomWorld.Sums, new { Id = experimentId })).ShouldBe(before);
            var rebuild = new Api.Aggregation.RebuildFromEvents(
                service.Store,
                service.Services.GetRequiredService<NpgsqlDataSource>(),
                TimeSpan.FromDays(1)
            );
            await Given.Eventually(async () =>
                await rebuild.Compare(experimentId, CancellationToken.None) is { Exposures: 0, Units: 0, Identities: > 10 }
            );
        }

        var back = await Move(database, events, "postgresql", "--switch");
        (back.ExitCode, back.Error).ShouldBe((0, ""));
        await using (var service = new OneService(database))
        {
            await service.InitializeAsync();
            (await service.QueryAll<string>(RandomWorld.Sums, new { Id = experimentId })).ShouldBe(before);
            (
                await service.Query<long>("SELECT count(*) FROM events WHERE environment_id = @environmentId", new { environmentId })
            ).ShouldBeGreaterThan(100);
            (await service.Query<long>("SELECT count(*) FROM events WHERE event = 'during'")).ShouldBe(sent);
        }
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_ClickHouse_that_is_away_is_named_and_nothing_has_moved()
    {
        var database = await cluster.NewDatabase();
        await using var service = new OneService(database);
        await service.InitializeAsync();

        var (exitCode, _, error) = await Move(database, "Host=127.0.0.1;Port=1", "clickhouse", "--switch");

        exitCode.ShouldBe(1);
        error.ShouldStartWith("ClickHouse, shard 1 of 1: ");
        error.ShouldNotContain("   at ");
        (await service.Query<string>("SELECT store || COALESCE(moving_to, '') FROM event_store")).ShouldBe("postgresql");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_switch_to_another_place_than_the_one_that_was_copied_to_copies_everything()
    {
        var database = await cluster.NewDatabase();
        var events = TestEventStore.ConnectionString(server, database);
        var elsewhere = events.Replace("_1|", "_x1|", StringComparison.Ordinal).Replace("_2;", "_x2;", StringComparison.Ordinal);
        await using var service = new OneService(database);
        await service.InitializeAsync();
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await given.ExposeAndConvert(experiment, 20);
        await given.Counted(experiment);
        (await Move(database, events, "clickhouse")).ExitCode.ShouldBe(0);

        (await Move(database, elsewhere, "clickhouse", "--switch")).ExitCode.ShouldBe(0);

        using var shards = new ClickHouseShards(elsewhere);
        (await shards.Sum("SELECT toInt64(count()) FROM events", null, default)).ShouldBe(40);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Copied_a_few_at_a_time_every_event_comes_back_as_it_was()
    {
        const string all = "SELECT string_agg(e::text, E'\n' ORDER BY environment_id, at, key) FROM events e";
        var database = await cluster.NewDatabase();
        await using var service = new OneService(database);
        await service.InitializeAsync();
        // Some that have many identities, one that has many events of one, and some that have few.
        foreach (var (count, identities) in new[] { (200, 50), (4, 4), (200, 1), (4, 2), (4, 1) })
        {
            var given = await Given.AnEnvironment(service);
            await given.Send([.. Enumerable.Range(0, count).Select(n => Numbered(n, identities))]);
        }

        var before = await service.Query<string>(all);
        before.Split('\n').Length.ShouldBe(412);
        using var shards = new ClickHouseShards(TestEventStore.ConnectionString(server, database));
        var source = service.Services.GetRequiredService<NpgsqlDataSource>();
        await new CopyToClickHouse(source, shards).Run((_, _) => { }, CancellationToken.None);
        await service.Execute("TRUNCATE events");

        var told = 0L;
        var partitions = service.Services.GetRequiredService<Partitions>();
        await new CopyToPostgres(source, shards, partitions, pageSize: 9).Run((_, count) => told += count, CancellationToken.None);

        (await service.Query<string>(all)).ShouldBe(before);
        told.ShouldBe(412);

        // With and without an identifier, an id and the rest.
        static object Numbered(int n, int identities) =>
            new JsonObject
            {
                ["event"] = $"e{n % 3}",
                ["identifier"] = n % 2 == 0 ? null : $"user-{n % identities}",
                ["id"] = n % 5 == 0 ? $"{n}" : null,
                ["value"] = n % 7 == 0 ? $"{n}" : null,
                ["metadata"] = n % 11 == 0 ? new JsonObject { ["n"] = n } : null,
                ["timestamp"] = DateTimeOffset.UtcNow.AddDays(-n % 60).ToUnixTimeMilliseconds(),
            };
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Events_that_have_an_id_in_common_all_come_back_and_once()
    {
        var database = await cluster.NewDatabase();
        await using var service = new OneService(database);
        await service.InitializeAsync();
        using var shards = new ClickHouseShards(TestEventStore.ConnectionString(server, database));
        var source = service.Services.GetRequiredService<NpgsqlDataSource>();
        var partitions = service.Services.GetRequiredService<Partitions>();
        var at = DateTime.UtcNow.Date;
        ClickHouseEvent Of(string name, string? who) => new(1, new(at, 7, null, name, null, who, null, null, null), true, at, 1);
        await shards.Insert<ClickHouseEvent>(
            "events",
            [Of("buy", "u"), Of("refund", "u"), Of("buy", "v"), Of("buy", null), Of("buy", "u")],
            CancellationToken.None
        );

        for (var time = 0; time < 3; time++)
        {
            var copy = new CopyToPostgres(source, shards, partitions, pageSize: time == 1 ? 1 : 50_000);
            await copy.Run((_, _) => { }, CancellationToken.None);
        }

        (await service.QueryAll<string>("SELECT event || COALESCE(identifier, '') FROM events ORDER BY 1")).ShouldBe([
            "buy",
            "buyu",
            "buyv",
            "refundu",
        ]);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Whatever_an_instance_has_been_through_its_events_can_move()
    {
        var database = await cluster.NewDatabase();
        var events = TestEventStore.ConnectionString(server, database);
        await using var service = new OneService(database);
        await service.InitializeAsync();
        var given = await Given.AnEnvironment(service);
        // It looks back on a time before the instance.
        var metric = await given.AMetric("count", definition: new { @event = "purchase", lookback_days = 30 });
        var experiment = await given.Start(await given.AnExperimentWith(new { metric = metric.Id, expected_direction = "increase" }));
        var ofCompanies = await given.AnExperimentWith(new { metric = metric.Id, expected_direction = "increase" });
        (await given.Admin.Patch($"{given.Experiments}{ofCompanies.Id}/", new { unit = new { key = "company" } })).Must(200);
        await given.Start(ofCompanies);
        await given.ExposeAndConvert(experiment, 20);
        await given.Counted(experiment);
        // What they did stays with their company.
        (await given.Admin.Post($"{given.Root}/identities/erase/", new { identifier = "u1" })).Must(200);
        // A metric that has yet to be counted, and nobody but the command to do that.
        await service.Execute(
            """
            UPDATE experiment_metrics SET backfilled = false, backfilled_to = NULL, backfilled_key = NULL WHERE experiment_id = @Id;
            DELETE FROM metric_sums WHERE link_id IN (SELECT id FROM experiment_metrics WHERE experiment_id = @Id);
            DELETE FROM unit_metrics WHERE experiment_id = @Id
            """,
            new { experiment.Id }
        );

        var (exitCode, output, error) = await Move(database, events, "clickhouse", "--switch");

        (exitCode, error).ShouldBe((0, ""));
        output.ShouldContain("Compared 1 unfinished experiments");
        output.ShouldContain($"Not compared: {ofCompanies.Id}.");

        // The command was killed after the switch, and the old events are still there.
        await service.Execute("UPDATE event_store SET moved_from = 'postgresql'");
        await service.Execute(
            "INSERT INTO events SELECT now(), 1, 1, id, now(), 'old', NULL, 'u2', NULL, NULL, NULL, false FROM environments LIMIT 1"
        );
        (exitCode, output, error) = await Move(database, events, "clickhouse", "--switch");

        (exitCode, error).ShouldBe((0, ""));
        output.ShouldContain("The old events in postgresql have been deleted.");
        (await service.Query<long>("SELECT count(*) FROM events")).ShouldBe(0);
        (await Move(database, events, "clickhouse", "--switch")).Error.ShouldContain("already");
    }

    // Nobody who sends events notices that they move.
    private static Task<Reply> SendOne(Given given, ref int sent) =>
        given.Send(
            new
            {
                @event = "during",
                identifier = $"user-{++sent}",
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            }
        );

    private static async Task<T> While<T>(Task<T> work, Func<Task> repeat)
    {
        for (; !work.IsCompleted; await Task.Delay(20))
        {
            await repeat();
        }

        return await work;
    }

    private static async Task SendRandom(Given given, Reply experiment, int seed)
    {
        var random = new Random(seed);
        var salt = await given.Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        var events = RandomWorld.Events(
            random,
            300,
            DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            experiment["feature"]["name"]!.GetValue<string>(),
            identity => Assignment.Variant(salt, identity, halves) == 0 ? "control" : "green"
        );
        foreach (var chunk in events.Chunk(70))
        {
            await given.Send([.. chunk]);
        }

        await given.Counted(experiment);
    }

    private static Task<(int ExitCode, string Output, string Error)> Move(
        string database,
        string events,
        string target,
        params string[] arguments
    ) =>
        CommandLine.RunWith(
            [("ConnectionStrings__Experiments", database), ("ConnectionStrings__ClickHouse", events)],
            ["move-events", "--to", target, .. arguments]
        );

    private static async Task<(int ExitCode, string Output)> Started(string database)
    {
        var (exitCode, output, error) = await CommandLine.RunWith(
            [("ConnectionStrings__Experiments", database), ("ASPNETCORE_URLS", "http://127.0.0.1:0")],
            ["--environment=Production"]
        );
        return (exitCode, output + error);
    }

    private sealed class OneService(string database, string? events = null) : TestService(null!)
    {
        public override async ValueTask InitializeAsync() =>
            await Begin(database, events is null ? [] : ["--Events:Store=clickhouse", $"--ConnectionStrings:ClickHouse={events}"]);
    }
}
