using Experiments.Api.ClickHouse;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.DependencyInjection;

namespace Experiments.Tests.Events;

/// <summary>Events in several shards. Whatever tests run on ClickHouse run on two of them as well.</summary>
public class ShardTests(ShardedService service) : IClassFixture<ShardedService>
{
    private static readonly Dictionary<string, object> Nothing = [];

    private static readonly long Now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    [Theory]
    [InlineData("", 16, 9)]
    [InlineData("u1", 2, 1)]
    [InlineData("u1", 16, 14)]
    [InlineData("alice", 3, 1)]
    [InlineData("Zoë", 5, 3)]
    public void An_identity_stays_where_it_is(string identifier, int shards, int expected) =>
        ClickHouseShards.Of(Identity.Key(identifier), shards).ShouldBe(expected);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(64)]
    public void Each_shard_has_its_share_of_the_identities_and_of_each_slice_of_them(int shards)
    {
        const int Each = 2_000;
        var identities = Enumerable.Range(0, 2 * Each * shards).Select(n => Identity.Key($"user-{n}")).ToList();

        foreach (var half in identities.GroupBy(identity => identity.ToByteArray(bigEndian: true)[0] / 128))
        {
            var sizes = half.CountBy(identity => ClickHouseShards.Of(identity, shards)).ToList();
            sizes.Count.ShouldBe(shards);
            // Six standard deviations of a binomial count, and of the size of the half.
            sizes.ShouldAllBe(size => Math.Abs(size.Value - Each) < 6 * Math.Sqrt(2 * Each));
        }

        ClickHouseShards.Of(Guid.Empty, shards).ShouldBe(0);
        ClickHouseShards.Of(Guid.AllBitsSet, shards).ShouldBe(shards - 1);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task All_events_of_an_identity_are_in_its_shard_and_count_once_and_go_with_it()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        for (var time = 0; time < 3; time++)
        {
            await given.ExposeAndConvert(experiment, 60);
        }

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(60);
        var found = new List<(string Database, Guid Identity)>();
        var shards = service.Services.GetRequiredService<ClickHouseShards>();
        await shards.Read(
            "SELECT DISTINCT currentDatabase(), identity FROM events WHERE environment_id = {environment:Int64}",
            await Of(given),
            row => found.Add((row.GetString(0), row.GetGuid(1))),
            CancellationToken.None
        );
        found.Select(one => one.Identity).ShouldBeUnique();
        found.Select(one => one.Database).Distinct().Count().ShouldBe(3);
        found.ShouldAllBe(one => one.Database.EndsWith($"_{ClickHouseShards.Of(one.Identity, 3) + 1}", StringComparison.Ordinal));

        var names = (await given.Admin.Get($"{given.Root}/events/names/")).Must(200)["results"]!.AsArray();
        names.Select(name => (name!["event"]!.GetValue<string>(), name["count"]!.GetValue<long>())).ShouldContain(("purchase", 180));
        (await given.Admin.Post($"{given.Root}/identities/export/", new { identifier = "u3" }))
            .Must(200)["event_count"]
            .GetValue<int>()
            .ShouldBe(6);

        (await given.Admin.Post($"{given.Root}/identities/erase/", new { identifier = "u3" })).Must(200);
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(59);
        (await Rows(given, "FROM events WHERE identifier = 'u3'")).ShouldBe(0);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task While_one_is_away_nothing_is_acknowledged_and_what_is_sent_again_counts_once()
    {
        await using var second = await FaultyClickHouse.Start(service.Server.Port);
        await using var other = new OtherService(service, Second(second.Port));
        await other.InitializeAsync();
        var given = await Given.AnEnvironment(other);
        var experiment = await given.ARunningExperimentWithAMetric();
        object[] purchases =
        [
            .. Enumerable
                .Range(0, 60)
                .Select(n => new
                {
                    @event = "purchase",
                    identifier = $"u{n}",
                    id = $"{n}",
                    timestamp = Now,
                }),
        ];
        await given.Send(
            new
            {
                @event = "purchase",
                identifier = "somebody",
                timestamp = Now,
            }
        );

        second.Fault = "dead";
        (await given.SendAny(purchases)).MustBe(503, "service.unavailable").Headers.RetryAfter.ShouldNotBeNull();
        (await given.Sdk.Get("/api/v1/flags/")).Must(200);
        second.Fault = null;
        await given.Send(purchases);
        await given.ExposeAndConvert(experiment, 60);

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(60);
        (await Rows(given, "FROM events FINAL WHERE event = 'purchase' AND identifier <> 'somebody'")).ShouldBe(120);
    }

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("{0}_2|{0}_1|{0}_3", @"is of shard \d of 3, and by the settings of shard \d of 3\.")]
    [InlineData("{0}_1|{0}_2", @"is of shard \d of 3, and by the settings of shard \d of 2\.")]
    public async Task Shards_in_another_order_or_number_are_refused(string databases, string expected)
    {
        var shards = service.Services.GetRequiredService<ClickHouseShards>();
        await shards.Execute("SELECT 1", Nothing, CancellationToken.None);
        var database = new Npgsql.NpgsqlConnectionStringBuilder(service.ConnectionString).Database;
        var server = $"127.0.0.1:{service.Server.Port}/{database}";
        var hosts = string.Format(System.Globalization.CultureInfo.InvariantCulture, databases, server);
        using var wrong = new ClickHouseShards($"Host={hosts};Username={service.Server.Username}");

        var refused = await Should.ThrowAsync<EventStoreUnavailableException>(() =>
            wrong.Sum("SELECT toInt64(count()) FROM events", Nothing, CancellationToken.None)
        );

        refused.Message.ShouldMatch(expected);
    }

    private async Task<long> Rows(Given given, string from) =>
        await service
            .Services.GetRequiredService<ClickHouseShards>()
            .Sum($"SELECT toInt64(count()) {from} AND environment_id = {{environment:Int64}}", await Of(given), CancellationToken.None);

    private async Task<Dictionary<string, object>> Of(Given given) =>
        new() { ["environment"] = await service.Query<long>("SELECT id FROM environments WHERE key = @Key", new { given.Key }) };

    // The connection to the same events, of which the second shard is behind another port.
    private string Second(int port)
    {
        var hosts = service.Events.Split('|');
        hosts[1] = hosts[1].Replace($":{service.Server.Port}/", $":{port}/", StringComparison.Ordinal);
        return string.Join('|', hosts);
    }
}
