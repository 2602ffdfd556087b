using System.Diagnostics;
using Experiments.Api.ClickHouse;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.Configuration;

namespace Experiments.Tests.Events;

/// <summary>What the service does when one of several servers of ClickHouse does not do what it is asked.</summary>
public class ClickHouseFailoverTests(ClickHouseService service) : IClassFixture<ClickHouseService>
{
    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("dead")]
    [InlineData("hang")]
    [InlineData("break")]
    [InlineData("242")]
    [InlineData("243")]
    [InlineData("253")]
    [InlineData("319")]
    public async Task Another_server_is_asked_and_stays_the_one_that_is_asked(string fault)
    {
        await using var pair = await Pair.Start(service);
        var (one, other, server) = (pair.One, pair.Other, pair.Server);
        await Insert(server);
        (one.Answers > 0, other.Answers).ShouldBe((true, 0));

        one.Fault = fault;
        var clock = Stopwatch.StartNew();
        await Insert(server);
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(5));
        other.Answers.ShouldBeGreaterThan(0);

        var asked = one.Requests;
        (await Count(server)).ShouldBeGreaterThan(0);
        one.Requests.ShouldBe(asked);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_server_that_hangs_up_is_asked_once_more()
    {
        await using var one = await FaultyClickHouse.Start(service.Server.Port);
        using var server = new ClickHouseShards($"Host=127.0.0.1:{one.Port};Username={service.Server.Username};Database=hang_up");
        await Insert(server);

        one.Fault = "hang up";
        await Insert(server);
        one.Fault = "hang up";
        (await Count(server)).ShouldBeGreaterThan(0);
        one.Fault = "hang up";
        await server.Execute("TRUNCATE TABLE arrivals", null, CancellationToken.None);
        (await Count(server)).ShouldBe(0);

        one.Fault = "dead";
        var asked = one.Requests;
        await Should.ThrowAsync<EventStoreUnavailableException>(() => Insert(server));
        one.Requests.ShouldBe(asked + 2);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task What_a_server_refuses_is_not_asked_of_another()
    {
        await using var pair = await Pair.Start(service);
        var (one, other, server) = (pair.One, pair.Other, pair.Server);

        var refused = await Should.ThrowAsync<EventStoreUnavailableException>(() =>
            server.Execute("INSERT INTO arrivals SELECT nonsense", null, CancellationToken.None)
        );

        refused.IsRefusal.ShouldBeTrue();
        (one.Answers > 0, other.Requests).ShouldBe((true, 0));
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Where_none_can_it_is_a_failure_of_the_store_and_no_refusal()
    {
        await using var pair = await Pair.Start(service);
        var (one, other, server) = (pair.One, pair.Other, pair.Server);
        (one.Fault, other.Fault) = ("242", "dead");

        var failed = await Should.ThrowAsync<EventStoreUnavailableException>(() => Count(server));

        failed.IsRefusal.ShouldBeFalse();
        (one.Fault, other.Fault) = (null, null);
        (await Count(server)).ShouldBeGreaterThanOrEqualTo(0);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Rows_that_came_before_an_answer_broke_off_are_not_read_twice()
    {
        await using var pair = await Pair.Start(service);
        var (one, other, server) = (pair.One, pair.Other, pair.Server);
        var read = new List<long>();
        (await Count(server)).ShouldBeGreaterThanOrEqualTo(0);

        one.Fault = "break";
        await Should.ThrowAsync<EventStoreUnavailableException>(() =>
            server.Read("SELECT toInt64(number) FROM numbers(500000)", null, row => read.Add(row.GetInt64(0)), CancellationToken.None)
        );

        read.ShouldNotBeEmpty();
        read.ShouldBeUnique();
        other.Requests.ShouldBe(0);
    }

    [Theory]
    [InlineData("Host=one,two", null, "Events:Cluster must name the cluster")]
    [InlineData("Host=one,two", "", "Events:Cluster must name the cluster")]
    [InlineData("Host=one,two", "a/b", "Events:Cluster must be 1 to 64 letters")]
    [InlineData("", "main", "ConnectionStrings:ClickHouse must say where")]
    public void Settings_that_cannot_be_are_refused_with_what_to_mend(string connection, string? cluster, string expected) =>
        Should
            .Throw<InvalidOperationException>(() =>
                EventStoreSetup.ShardsOf(
                    new ConfigurationBuilder()
                        .AddInMemoryCollection(
                            new Dictionary<string, string?> { ["ConnectionStrings:ClickHouse"] = connection, ["Events:Cluster"] = cluster }
                        )
                        .Build()
                )
            )
            .Message.ShouldContain(expected);

    private static Task Insert(ClickHouseShards server) =>
        server.Insert<ClickHouseArrival>("arrivals", [new(1, 1, "e", Guid.NewGuid())], CancellationToken.None);

    private static Task<long> Count(ClickHouseShards server) =>
        server.Sum("SELECT toInt64(count()) FROM arrivals", null, CancellationToken.None);

    /// <summary>Two servers with the same engine behind them, and what asks the first of them first.</summary>
    private sealed record Pair(FaultyClickHouse One, FaultyClickHouse Other, ClickHouseShards Server) : IAsyncDisposable
    {
        public static async Task<Pair> Start(ClickHouseService service)
        {
            var (one, other) = (await FaultyClickHouse.Start(service.Server.Port), await FaultyClickHouse.Start(service.Server.Port));
            var connection = $"Host=127.0.0.1:{one.Port},127.0.0.1:{other.Port};Username={service.Server.Username};Database=failover";
            return new(one, other, new ClickHouseShards(connection, writeAttempt: TimeSpan.FromSeconds(2)));
        }

        public async ValueTask DisposeAsync()
        {
            Server.Dispose();
            await One.DisposeAsync();
            await Other.DisposeAsync();
        }
    }
}
