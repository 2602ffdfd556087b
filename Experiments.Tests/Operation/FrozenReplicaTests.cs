using System.Collections.Concurrent;
using System.Diagnostics;
using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Operation;

/// <summary>What a replica holds that says nothing any more, others get within ten seconds.</summary>
public class FrozenReplicaTests(TestService service) : IClassFixture<TestService>
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(10);

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task While_one_of_two_replicas_is_frozen_the_other_goes_on_changing_and_counting()
    {
        var given = await Given.AnEnvironment(service);
        var experiments = await Task.WhenAll(Enumerable.Range(0, 12).Select(async _ => (Reply)await given.AnExperimentThatIs("running")));
        await using var replica = await Replica.Start(service.ConnectionString);
        var done = new ConcurrentBag<int>();
        using var stop = new CancellationTokenSource();
        var load = experiments
            .Select(
                async (experiment, client) =>
                {
                    for (var n = 0; !stop.IsCancellationRequested; n++)
                    {
                        try
                        {
                            var action = n % 2 == 0 ? "pause" : "start";
                            done.Add(
                                (
                                    await replica.Admin.Post(
                                        $"{given.Experiments}{experiment.Id}/{action}/",
                                        null,
                                        ("Idempotency-Key", $"{client}-{n}")
                                    )
                                ).Code
                            );
                        }
                        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
                        {
                            return;
                        }
                    }
                }
            )
            .ToList();
        await Given.Eventually(() => Task.FromResult(done.Count > 100));

        replica.Freeze();
        var clock = Stopwatch.StartNew();

        foreach (var experiment in experiments)
        {
            await Given.Eventually(
                async () => (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { name = "changed" })).Code == 200,
                Bound - clock.Elapsed
            );
            await Given.Eventually(async () => (await given.Act(experiment.Id, "start")).Code is 200 or 409, Bound - clock.Elapsed);
        }

        await given.Send(
            new
            {
                @event = "seen",
                identifier = "u",
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            }
        );
        await Given.Eventually(
            async () => (await given.Exposures(experiments[0]))["events_not_counted"].GetValue<int>() == 0,
            Bound - clock.Elapsed
        );
        await stop.CancelAsync();
        await replica.DisposeAsync();
        await Task.WhenAll(load);
    }

    [Fact]
    public async Task A_request_that_is_frozen_in_the_middle_of_a_change_gives_back_what_it_has_locked()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        await using var source = DatabaseSetup.Source(service.ConnectionString, TimeSpan.FromSeconds(3));
        await using var frozen = await source.OpenConnectionAsync();
        await using var transaction = await frozen.BeginTransactionAsync();
        await frozen.ExecuteAsync(
            "SELECT feature_id FROM feature_states WHERE feature_id = @Id FOR NO KEY UPDATE",
            new { Id = experiment["feature"]["id"]!.GetValue<long>() }
        );

        await Given.Eventually(async () => (await given.Act(experiment.Id, "start")).Code == 200, Bound);
    }

    [Fact]
    public async Task A_count_that_is_frozen_in_the_middle_gives_its_turn_back()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");
        await using var source = AggregationWorker.Source(new DatabaseServer(service.ConnectionString, null), null);
        await using var frozen = await source.OpenConnectionAsync();
        await using var transaction = await frozen.BeginTransactionAsync();
        await Given.Eventually(() => AggregationLock.Take(frozen, experiment.Id));
        await given.Send(
            new
            {
                @event = "seen",
                identifier = "u",
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            }
        );

        await Given.Eventually(async () => (await given.Exposures(experiment))["events_not_counted"].GetValue<int>() == 0, Bound);
    }

    [Fact]
    public void A_server_whose_host_is_lost_is_noticed()
    {
        DatabaseSetup.Settings("Host=db.example", null, DatabaseSetup.Idle).TcpKeepAlive.ShouldBeTrue();
        DatabaseSetup.Settings("Host=db.example;Tcp Keepalive=false", null, DatabaseSetup.Idle).TcpKeepAlive.ShouldBeFalse();
        DatabaseSetup.Settings("Host=/run/postgresql", null, DatabaseSetup.Idle).TcpKeepAlive.ShouldBeFalse();
    }

    [Fact]
    public async Task Every_connection_has_a_limit_and_looks_whether_its_other_end_is_there()
    {
        await Given.Eventually(async () =>
            (
                await service.QueryAll<string>("SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()")
            ).Count >= 3
        );
        foreach (
            var settings in new[]
            {
                DatabaseSetup.Settings(service.ConnectionString, TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(5)),
                new NpgsqlConnectionStringBuilder(
                    AggregationWorker.Source(new DatabaseServer(service.ConnectionString, null), null).ConnectionString
                ),
            }
        )
        {
            await using var connection = new NpgsqlConnection(settings.ConnectionString);
            var session = (
                await connection.QueryAsync<(string Name, string Setting)>(
                    "SELECT name, setting FROM pg_settings WHERE name LIKE ANY (ARRAY ['tcp%', 'idle_in_transaction%', "
                        + "'statement_timeout'])"
                )
            ).ToDictionary(row => row.Name, row => row.Setting);
            long.Parse(session["idle_in_transaction_session_timeout"], System.Globalization.CultureInfo.InvariantCulture)
                .ShouldBeInRange(1, 5000);
            long.Parse(session["statement_timeout"], System.Globalization.CultureInfo.InvariantCulture).ShouldBeInRange(1, 60_000);
            settings.TcpKeepAlive.ShouldBe(!settings.Host!.StartsWith('/'));
            settings.Options.ShouldNotBeNull().ShouldContain("tcp_keepalives_idle=10");
            settings.Options.ShouldContain("tcp_user_timeout=8000");
        }
    }
}
