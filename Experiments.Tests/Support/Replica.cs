using System.Diagnostics;
using System.Net.Sockets;

namespace Experiments.Tests.Support;

/// <summary>A replica of the service in a process of its own, which can be frozen and killed.</summary>
public sealed class Replica : IAsyncDisposable
{
    private readonly Process _process;
    private bool _isOver;

    private Replica(Process process, Uri address) => (_process, Address) = (process, address);

    /// <summary>The lines that it has logged so far.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<string> Output { get; } = new();

    public Uri Address { get; }

    /// <summary>Speaks as the instance admin.</summary>
    public Client Admin => new(Address, $"Api-Key {TestService.AdminKey}");

    /// <summary>Starts one on any database and waits until it is ready.</summary>
    public static async Task<Replica> Start(string connectionString, params string[] settings)
    {
        var replica = Launch(connectionString, settings);
        var client = new Client(replica.Address, null);
        await Given.Eventually(async () =>
        {
            try
            {
                return (await client.Get("/health/ready")).Code == 200;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
        return replica;
    }

    /// <summary>Starts one on any database and waits for nothing.</summary>
    public static Replica Launch(string connectionString, params string[] settings)
    {
        using var free = new TcpListener(System.Net.IPAddress.Loopback, 0);
        free.Start();
        var address = new Uri($"http://127.0.0.1:{((System.Net.IPEndPoint)free.LocalEndpoint).Port}");
        free.Stop();
        var process = Process.Start(
            new ProcessStartInfo(
                "dotnet",
                [
                    typeof(Api.Platform.Problem).Assembly.Location,
                    $"--urls={address}",
                    $"--ConnectionStrings:Experiments={connectionString}",
                    $"--EXPERIMENTS_ADMIN_KEY={TestService.AdminKey}",
                    "--FeatureManagement:experimental_flags=true",
                    // As in the service in this process, no look falls between the events of a test.
                    "--Results:FirstLookAfter=1.00:00:00",
                    .. settings,
                ]
            )
            {
                RedirectStandardOutput = true,
            }
        )!;
        var replica = new Replica(process, address);
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is { } text)
            {
                replica.Output.Enqueue(text);
            }
        };
        process.BeginOutputReadLine();
        return replica;
    }

    public void Kill() => _process.Kill();

    /// <summary>Tells it to stop, as an orchestrator does, and waits until it has.</summary>
    public async Task Stop()
    {
        Signal("TERM");
        await _process.WaitForExitAsync();
    }

    /// <summary>Stops it in whatever it does, as a paused container is.</summary>
    public void Freeze() => Signal("STOP");

    /// <summary>Lets it go on.</summary>
    public void Thaw() => Signal("CONT");

    /// <summary>Kills it, frozen or not.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_isOver)
        {
            _isOver = true;
            Signal("CONT");
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }
    }

    private void Signal(string signal)
    {
        using var kill = Process.Start("/bin/sh", ["-c", $"kill -{signal} {_process.Id} 2>/dev/null; true"]);
        kill.WaitForExit();
    }
}
