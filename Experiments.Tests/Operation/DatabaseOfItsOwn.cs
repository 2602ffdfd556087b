using System.Diagnostics;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Operation;

/// <summary>A service on a PostgreSQL of its own, which is stopped, killed and brought back under it.</summary>
public abstract class DatabaseOfItsOwn : IAsyncLifetime
{
    internal EmbeddedPostgres Postgres { get; } = new(Temporary.Directory("away"), "fsync=off");

    protected Microsoft.AspNetCore.Builder.WebApplication? App { get; private set; }

    protected Client Admin { get; private set; } = null!;

    protected string Data => Path.Combine(Postgres.Root, "postgres");

    public async ValueTask InitializeAsync()
    {
        await Postgres.Start(CancellationToken.None);
        App = await TestService.Start(Postgres.ConnectionString);
        Admin = new Client(new Uri(App.Urls.First()), $"Api-Key {TestService.AdminKey}");
    }

    public async ValueTask DisposeAsync()
    {
        Signal("CONT");
        await App!.StopAsync();
        await App.DisposeAsync();
        await Postgres.DisposeAsync();
        Directory.Delete(Postgres.Root, recursive: true);
        GC.SuppressFinalize(this);
    }

    protected void Signal(string signal)
    {
        var postmaster = File.ReadLines(Path.Combine(Data, "postmaster.pid")).First();
        using var kill = Process.Start(
            "/bin/sh",
            ["-c", $"kill -{signal} {postmaster} $(cat /proc/{postmaster}/task/{postmaster}/children) 2>/dev/null; true"]
        );
        kill.WaitForExit();
    }

    protected static async Task<(Reply Reply, TimeSpan Took)> Timed(Func<Task<Reply>> request)
    {
        var clock = Stopwatch.StartNew();
        return (await request(), clock.Elapsed);
    }

    protected static async Task<bool> Eventually(Func<Task<Reply>> request, int status)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(15); await Task.Delay(100))
        {
            if ((await request()).Code == status)
            {
                return true;
            }
        }

        return false;
    }
}
