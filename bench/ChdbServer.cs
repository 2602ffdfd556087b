using System.Diagnostics;
using System.Globalization;

namespace Experiments.Bench;

/// <summary>ClickHouse's engine behind its HTTP interface, as the tests run it.</summary>
internal sealed class ChdbServer : IAsyncDisposable
{
    private static readonly string Scripts = Path.GetFullPath(
        Path.Combine(AppContext.BaseDirectory, "../../../../Experiments.Tests/Warehouse/chdb")
    );

    private readonly string _directory;

    private ChdbServer(Process process, string directory, int port) => (Process, _directory, Port) = (process, directory, port);

    public Process Process { get; }

    public int Port { get; }

    // On one machine, there is no network to spare; and to unpack what comes costs this server more than a real one.
    public string ConnectionString => $"Host=127.0.0.1;Port={Port};Username=default;Database=bench;Compression=false";

    public static async Task<ChdbServer> Start(string directory)
    {
        if (!Directory.Exists(Path.Combine(Scripts, "node_modules")))
        {
            await Load.Run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", Scripts]);
        }

        Directory.CreateDirectory(directory);
        var process = Process.Start(
            new ProcessStartInfo("node", [Path.Combine(Scripts, "server.mjs"), directory]) { RedirectStandardOutput = true }
        )!;
        return new(process, directory, int.Parse((await process.StandardOutput.ReadLineAsync())!, CultureInfo.InvariantCulture));
    }

    public async ValueTask DisposeAsync()
    {
        Process.Kill();
        await Process.WaitForExitAsync();
        Process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
