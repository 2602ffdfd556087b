using System.Collections.Concurrent;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Operation;

/// <summary>
/// Two replicas under load while something breaks. Whatever it is: each event that was acknowledged is stored and counted once, each
/// transition that was acknowledged is audited once, and the clients go on within ten seconds of the repair. Run by ./dev faults.
/// </summary>
public class FaultCampaignTests(TestCluster cluster)
{
    private static readonly TimeSpan Repaired = TimeSpan.FromSeconds(10);

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("a replica is killed and another takes its place, three times")]
    [InlineData("a replica is frozen for ten seconds")]
    [InlineData("all connections to the database are ended, five times")]
    [InlineData("the replicas are restarted one after the other, twice")]
    [InlineData("a feature is locked for five seconds")]
    public async Task Nothing_acknowledged_is_lost_or_done_twice_while(string fault)
    {
        await using var world = await World.Start(cluster);
        using var over = new CancellationTokenSource();
        var clients = world.Clients(over.Token);
        await Task.Delay(TimeSpan.FromSeconds(2));

        await Break(world, fault);

        var before = world.Acknowledged;
        await Given.Eventually(() => Task.FromResult(world.Acknowledged > before + 100), Repaired);
        await over.CancelAsync();
        await clients;
        await world.Check();
    }

    private static async Task Break(World world, string fault)
    {
        switch (fault)
        {
            case "a replica is killed and another takes its place, three times":
                for (var time = 0; time < 3; time++)
                {
                    world.Replicas[time % 2].Kill();
                    await Task.Delay(TimeSpan.FromSeconds(1));
                    await world.Replace(time % 2);
                    await Task.Delay(TimeSpan.FromSeconds(1));
                }

                break;
            case "a replica is frozen for ten seconds":
                world.Replicas[0].Freeze();
                await Task.Delay(TimeSpan.FromSeconds(10));
                world.Replicas[0].Thaw();
                break;
            case "all connections to the database are ended, five times":
                for (var time = 0; time < 5; time++)
                {
                    await world.Execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
                            + "pg_backend_pid()"
                    );
                    await Task.Delay(TimeSpan.FromMilliseconds(700));
                }

                break;
            case "the replicas are restarted one after the other, twice":
                for (var time = 0; time < 4; time++)
                {
                    await world.Replicas[time % 2].Stop();
                    await world.Replace(time % 2);
                }

                break;
            default:
                await world.Execute("BEGIN; SELECT id FROM features ORDER BY id LIMIT 1 FOR NO KEY UPDATE; SELECT pg_sleep(5); COMMIT");
                break;
        }
    }

    /// <summary>Two replicas, clients that repeat what is not answered, and what they were told.</summary>
    private sealed class World : IAsyncDisposable
    {
        private const int Writers = 3;

        private readonly ConcurrentBag<int> _events = [];
        private readonly ConcurrentDictionary<long, int> _transitions = new();
        private readonly List<long> _experiments = [];
        private string _database = "";
        private string _key = "";
        private string _feature = "";
        private string _salt = "";
        private int _next;

        public Replica[] Replicas { get; } = new Replica[2];

        public int Acknowledged => _events.Count;

        public static async Task<World> Start(TestCluster cluster)
        {
            DapperSetup.Run();
            // Not pooled here, because one of the faults ends all connections.
            var world = new World { _database = await cluster.NewDatabase() + ";Pooling=false" };
            for (var index = 0; index < 2; index++)
            {
                world.Replicas[index] = await Replica.Start(world.ForReplicas, "--Logging:LogLevel:Default=None");
            }

            var admin = world.Replicas[0].Admin;
            var project = (await admin.Post("/api/v1/projects/", new { name = "shop", organisation = "acme" })).Must(201);
            world._key = (await admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "production" }))
                .Must(201)["key"]
                .GetValue<string>();
            for (var index = 0; index <= Writers; index++)
            {
                var feature = (
                    await admin.Post(
                        $"{world.Root}features/",
                        new
                        {
                            name = $"f{index}",
                            initial_value = 1,
                            multivariate_options = new[] { new { key = "green", value = 2 } },
                        }
                    )
                ).Must(201);
                var experiment = (
                    await admin.Post(
                        $"{world.Root}experiments/",
                        new
                        {
                            name = "e",
                            hypothesis = "h",
                            feature = feature.Id,
                        }
                    )
                ).Must(201);
                world._experiments.Add(experiment.Id);
            }

            // The first one runs all the time, and is what the events are about.
            (await admin.Post($"{world.Root}experiments/{world._experiments[0]}/start/")).Must(200);
            world._feature = "f0";
            world._salt = await TestCluster.Scalar<string>(
                world._database,
                $"SELECT salt FROM experiments WHERE id = {world._experiments[0]}"
            );
            return world;
        }

        private string ForReplicas => _database.Replace(";Pooling=false", "", StringComparison.Ordinal);

        private string Root => $"/api/v1/environments/{_key}/";

        public Task Clients(CancellationToken ct) =>
            Task.WhenAll(
                Enumerable.Range(0, 4).Select(_ => SendEvents(ct)).Concat(_experiments.Skip(1).Select(experiment => Change(experiment, ct)))
            );

        public async Task Replace(int index)
        {
            await Replicas[index].DisposeAsync();
            Replicas[index] = await Replica.Start(ForReplicas, "--Logging:LogLevel:Default=None");
        }

        public async Task Execute(string sql)
        {
            await using var source = NpgsqlDataSource.Create(_database);
            await using var command = source.CreateCommand(sql);
            await command.ExecuteNonQueryAsync();
        }

        private async Task SendEvents(CancellationToken ct)
        {
            var halves = Assignment.Cumulate([50, 50]);
            while (!ct.IsCancellationRequested)
            {
                var first = Interlocked.Add(ref _next, 20) - 20;
                var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
                var events = Enumerable
                    .Range(first, 20)
                    .Select(n => new
                    {
                        @event = "$flag_exposure",
                        feature_name = _feature,
                        identifier = $"u{n}",
                        value = Assignment.Variant(_salt, $"u{n}", halves) == 0 ? "control" : "green",
                        timestamp = at,
                        id = $"event-{n}",
                    })
                    .ToArray();
                await Repeat(
                    client => new Client(client.Address, null).With("X-Environment-Key", _key).Post("/v1/events", new { events }),
                    202
                );
                foreach (var n in Enumerable.Range(first, 20))
                {
                    _events.Add(n);
                }
            }
        }

        private async Task Change(long experiment, CancellationToken ct)
        {
            for (var turn = 0; !ct.IsCancellationRequested; turn++)
            {
                var action = turn % 2 == 0 ? "start" : "pause";
                await Repeat(
                    client =>
                        client.Admin.Post($"{Root}experiments/{experiment}/{action}/", null, ("Idempotency-Key", $"{experiment}-{turn}")),
                    200
                );
                _transitions.AddOrUpdate(experiment, 1, (_, count) => count + 1);
            }
        }

        // Until it is answered, now by one replica and now by the other, as a client behind a balancer does. Even after the end, so that
        // nothing remains in doubt.
        private async Task Repeat(Func<Replica, Task<Reply>> send, int expected)
        {
            for (var attempt = Random.Shared.Next(2); ; attempt++)
            {
                try
                {
                    var reply = await send(Replicas[attempt % 2]);
                    if (reply.Code == expected)
                    {
                        return;
                    }

                    reply.Code.ShouldBe(503, reply.Text);
                }
                catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
                {
                    // It is dead, or frozen, and what this one came to is not known.
                }

                await Task.Delay(50);
            }
        }

        /// <summary>Compares what the clients were told with what the database holds.</summary>
        public async Task Check()
        {
            var stored = await TestCluster.Scalar<long>(_database, "SELECT count(*) FROM events");
            stored.ShouldBe(_events.Count);
            (await TestCluster.Scalar<long>(_database, "SELECT count(DISTINCT identifier) FROM events")).ShouldBe(stored);
            foreach (var (experiment, count) in _transitions)
            {
                (
                    await TestCluster.Scalar<long>(
                        _database,
                        $"SELECT count(*) FROM audit_log WHERE object_id = {experiment} AND "
                            + "action IN ('experiment.started', 'experiment.paused')"
                    )
                ).ShouldBe(count);
                (
                    await TestCluster.Scalar<bool>(_database, $"SELECT started_at = lower(runs) FROM experiments WHERE id = {experiment}")
                ).ShouldBeTrue();
            }

            await Given.Eventually(
                async () => await TestCluster.Scalar<long>(_database, "SELECT count(*) FROM event_batches") == 0,
                TimeSpan.FromSeconds(30)
            );
            (await TestCluster.Scalar<long>(_database, "SELECT sum(count)::bigint FROM event_names")).ShouldBe(stored);
            await using var source = AggregationWorker.Source(new DatabaseServer(_database, null), null);
            RebuildFromEvents.Report? report = null;
            await Given.Eventually(async () =>
                (report = await new RebuildFromEvents(source, TimeSpan.FromHours(24)).Run(_experiments[0], CancellationToken.None))
                    is not null
            );
            report.ShouldBe(new(stored, 0, 0));
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var replica in Replicas.Where(replica => replica is not null))
            {
                await replica.DisposeAsync();
            }
        }
    }
}
