using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Demo;

/// <summary>Makes the demo project in the background, once, where it is asked for.</summary>
internal sealed class DemoJob(
    IOptions<DemoOptions> options,
    IHostEnvironment environment,
    DatabaseServer database,
    AdminKeys keys,
    Readiness readiness,
    NpgsqlDataSource source,
    IServer server,
    IHostApplicationLifetime lifetime,
    ILogger<DemoJob> logger
) : BackgroundService
{
    private const string Project = "Demo shop";

    // Of the key with which it is filled.
    private const string Name = "demo (temporary)";

    // The organisation says how far it is, so that one that was interrupted begins again.
    private const string Unfinished = "Demo (being filled)";
    private const string Finished = "Demo";

    private bool IsWanted => options.Value.Enabled ?? (environment.IsDevelopment() && database.Embedded is not null);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!IsWanted || !await Started(stoppingToken))
        {
            return;
        }

        // One replica makes it. The lock is that of the session, and goes with it.
        await using var turn = await source.OpenConnectionAsync(stoppingToken);
        await using var asked = new NpgsqlCommand("SELECT pg_try_advisory_lock(hashtext('demo'), 0)", turn);
        if (await asked.ExecuteScalarAsync(stoppingToken) is not true)
        {
            return;
        }

        try
        {
            // Of a process that was killed.
            await keys.RevokeNamed(Name, stoppingToken);
            using var client = new DemoClient(Address(), await keys.Create(Name, stoppingToken));
            await Run(client, stoppingToken);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            // The service is what it is without a demo.
            logger.DemoFailed(exception.Message);
        }
        finally
        {
            await Revoke();
        }
    }

    private async Task Run(DemoClient client, CancellationToken ct)
    {
        var projects = (await client.Get("/api/v1/projects/?page_size=100", ct))["results"]!.AsArray();
        var former = projects.FirstOrDefault(project => project!["name"]!.GetValue<string>() == Project);
        if (former is not null && former["organisation"]!.GetValue<string>() == Unfinished)
        {
            await Remove(client, former["id"]!.GetValue<long>(), ct);
            former = null;
        }

        if (former is null)
        {
            var made = await client.Post("/api/v1/projects/", new { name = Project, organisation = Unfinished }, ct);
            var project = made["id"]!.GetValue<long>();
            var key = (await client.Post($"/api/v1/projects/{project}/environments/", new { name = "production" }, ct))[
                "key"
            ]!.GetValue<string>();
            var clock = System.Diagnostics.Stopwatch.StartNew();
            await new DemoWorld(client, new DemoClock(source, project), key, Tell).Fill(ct);
            await client.Patch($"/api/v1/projects/{project}/", new { organisation = Finished }, ct);
            Tell($"Demo: five experiments are there, after {clock.Elapsed.TotalSeconds:0} s.");
            former = made;
        }

        if (options.Value.Live)
        {
            var id = former["id"]!.GetValue<long>();
            var first = (await client.Get($"/api/v1/projects/{id}/environments/", ct))["results"]![0]!["key"]!.GetValue<string>();
            Tell("Demo: visitors keep coming.");
            await new DemoWorld(client, new DemoClock(source, id), first, Tell).GoOn(ct);
        }
    }

    private static async Task Remove(DemoClient client, long project, CancellationToken ct)
    {
        foreach (var environment in (await client.Get($"/api/v1/projects/{project}/environments/", ct))["results"]!.AsArray())
        {
            var path = $"/api/v1/environments/{environment!["key"]!.GetValue<string>()}/experiments/";
            foreach (var experiment in (await client.Get($"{path}?status=running&status=paused", ct))["results"]!.AsArray())
            {
                await client.Post($"{path}{experiment!["id"]!.GetValue<long>()}/complete/", new { }, ct);
            }
        }

        await client.Delete($"/api/v1/projects/{project}/", ct);
    }

    private async Task<bool> Started(CancellationToken ct)
    {
        var started = new TaskCompletionSource();
        await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(ct);
        while (!readiness.HasSchema)
        {
            if (!await PeriodicJob.Wait(TimeSpan.FromMilliseconds(100), ct))
            {
                return false;
            }
        }

        return true;
    }

    private Uri Address() => new(LocalAddress.Of(server.Features.Get<IServerAddressesFeature>()!.Addresses.First()));

    private async Task Revoke()
    {
        try
        {
            await keys.RevokeNamed(Name, CancellationToken.None);
        }
        catch (Exception exception) when (Failure.IsUnavailable(exception))
        {
            logger.DemoFailed(exception.Message);
        }
    }

    private void Tell(string line) => logger.DemoProgress(line);
}
