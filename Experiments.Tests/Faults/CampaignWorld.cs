using System.Diagnostics;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Faults;

/// <summary>Two replicas, each behind a proxy to one database, clients that repeat what is not answered, and what they were told.</summary>
internal sealed class CampaignWorld : IAsyncDisposable
{
    private const int Writers = 3;

    private readonly History _history = new();
    private readonly List<long> _experiments = [];
    private long _feature;
    private string _key = "";
    private string _salt = "";
    private int _next;
    private int _failures;

    private CampaignWorld(FaultyDatabase database)
    {
        Database = database;
        Proxies = [new(database.ConnectionString), new(database.ConnectionString)];
    }

    public FaultyDatabase Database { get; }

    public FaultProxy[] Proxies { get; }

    public Replica[] Replicas { get; } = new Replica[2];

    /// <summary>How many events have been acknowledged.</summary>
    public int Acknowledged => _history.Events.Count;

    /// <summary>How many requests were not answered, or with 503, or after more than two seconds.</summary>
    public int Failures => Volatile.Read(ref _failures);

    private string Root => $"/api/v1/environments/{_key}/";

    public static async Task<CampaignWorld> Start(bool isSmall)
    {
        DapperSetup.Run();
        var world = new CampaignWorld(await FaultyDatabase.Start(isSmall));
        try
        {
            await Task.WhenAll(world.Replace(0), world.Replace(1));
            await world.Plant();
            return world;
        }
        catch
        {
            await world.DisposeAsync();
            throw;
        }
    }

    /// <summary>Works until it is cancelled, and then until nothing is in doubt.</summary>
    public Task Clients(CancellationToken ct) =>
        Task.WhenAll([
            .. Enumerable.Range(0, 4).Select(_ => SendEvents(ct)),
            .. _experiments.Skip(1).Select(experiment => Change(experiment, ct)),
            CreateRival(ct),
        ]);

    /// <summary>A new replica in the place of another, which may still run.</summary>
    public async Task Replace(int index)
    {
        if (Replicas[index] is { } former)
        {
            await former.DisposeAsync();
        }

        Replicas[index] = await Replica.Start(Proxies[index].ConnectionString, "--Logging:LogLevel:Default=None");
    }

    /// <summary>Waits until each experiment has changed twice.</summary>
    public async Task EveryExperimentChanges(TimeSpan within)
    {
        var before = _experiments.Skip(1).ToDictionary(id => id, id => _history.Transitions.GetValueOrDefault(id));
        await Given.Eventually(
            () => Task.FromResult(before.All(one => _history.Transitions.GetValueOrDefault(one.Key) >= one.Value + 2)),
            within
        );
    }

    /// <summary>Compares what the clients were told with what the database holds.</summary>
    public Task Check() => _history.Check(Database.ConnectionString, _experiments[0]);

    public async ValueTask DisposeAsync()
    {
        foreach (var proxy in Proxies)
        {
            proxy.GoOn();
        }

        foreach (var replica in Replicas.OfType<Replica>())
        {
            await replica.DisposeAsync();
        }

        foreach (var proxy in Proxies)
        {
            await proxy.DisposeAsync();
        }

        await Database.DisposeAsync();
    }

    // The first experiment runs all the time, and is what the events are about.
    private async Task Plant()
    {
        var admin = Replicas[0].Admin;
        var project = (await admin.Post("/api/v1/projects/", new { name = "shop", organisation = "acme" })).Must(201);
        _key = (await admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "production" }))
            .Must(201)["key"]
            .GetValue<string>();
        var options = new[] { new { key = "green", value = 2 } };
        for (var index = 0; index <= Writers; index++)
        {
            var feature = (
                await admin.Post(
                    $"{Root}features/",
                    new
                    {
                        name = $"f{index}",
                        initial_value = 1,
                        multivariate_options = options,
                    }
                )
            ).Must(201);
            _feature = feature.Id;
            _experiments.Add((await CreateExperiment(admin, _feature)).Must(201).Id);
        }

        (await admin.Post($"{Root}experiments/{_experiments[0]}/start/")).Must(200);
        _salt = await TestCluster.Scalar<string>(Database.ConnectionString, $"SELECT salt FROM experiments WHERE id = {_experiments[0]}");
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
                    feature_name = "f0",
                    identifier = $"u{n}",
                    value = Assignment.Variant(_salt, $"u{n}", halves) == 0 ? "control" : "green",
                    timestamp = at,
                    id = $"event-{n}",
                })
                .ToArray();
            await Repeat(
                replica => new Client(replica.Address, null).With("X-Environment-Key", _key).Post("/v1/events", new { events }),
                202
            );
            foreach (var n in Enumerable.Range(first, 20))
            {
                _history.Events.Add(n);
            }
        }
    }

    private async Task Change(long experiment, CancellationToken ct)
    {
        for (var turn = 0; !ct.IsCancellationRequested; turn++)
        {
            var action = turn % 2 == 0 ? "start" : "pause";
            await Repeat(
                replica =>
                    replica.Admin.Post($"{Root}experiments/{experiment}/{action}/", null, ("Idempotency-Key", $"{experiment}-{turn}")),
                200
            );
            _history.Transitions.AddOrUpdate(experiment, 1, (_, count) => count + 1);
        }
    }

    // A feature has one active experiment at most, whatever becomes of the replicas.
    private async Task CreateRival(CancellationToken ct)
    {
        for (; !ct.IsCancellationRequested; await Task.Delay(20, CancellationToken.None))
        {
            await Repeat(replica => CreateExperiment(replica.Admin, _feature), 409);
        }
    }

    private Task<Reply> CreateExperiment(Client admin, long feature) =>
        admin.Post(
            $"{Root}experiments/",
            new
            {
                name = "e",
                hypothesis = "h",
                feature,
            }
        );

    // Until it is answered, now by one replica and now by the other, as a client behind a balancer does. Even after the end, so that
    // nothing remains in doubt.
    private async Task Repeat(Func<Replica, Task<Reply>> send, int expected)
    {
        for (var attempt = Random.Shared.Next(2); ; attempt++)
        {
            var clock = Stopwatch.StartNew();
            try
            {
                var reply = await send(Replicas[attempt % 2]);
                if (reply.Code == expected)
                {
                    if (clock.Elapsed > TimeSpan.FromSeconds(2))
                    {
                        Interlocked.Increment(ref _failures);
                    }

                    return;
                }

                reply.Code.ShouldBe(503, reply.Text);
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
            {
                // It is dead, or frozen, and what this one came to is not known.
            }

            Interlocked.Increment(ref _failures);
            await Task.Delay(50);
        }
    }
}
