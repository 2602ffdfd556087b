using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Experiments.Bench;

/// <summary>Starts and stops what is measured, each by its own process id, and says what it runs on.</summary>
internal static class Machine
{
    public const string AdminKey = "the-admin-key-of-the-benchmark";

    public static Process Start(string assembly, string[] arguments, string address, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, assembly), .. arguments])
        {
            RedirectStandardOutput = true,
        };
        start.Environment["ASPNETCORE_ENVIRONMENT"] = "Production";
        start.Environment["ASPNETCORE_URLS"] = address;
        start.Environment["EXPERIMENTS_ADMIN_KEY"] = AdminKey;
        start.Environment["FeatureManagement__experimental_flags"] = "true";
        start.Environment["Results__MinimumInterval"] = "00:00:00";
        start.Environment["Requests__PerSecond"] = "0";
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start)!;
        process.BeginOutputReadLine();
        return process;
    }

    public static async Task Stop(Process? process)
    {
        if (process is null)
        {
            return;
        }

        await Load.Run("kill", ["-TERM", $"{process.Id}"]);
        await process.WaitForExitAsync();
        process.Dispose();
    }

    public static async Task FirstAnswer(string address)
    {
        using var client = new HttpClient();
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(60); await Task.Delay(5))
        {
            try
            {
                using var answer = await client.GetAsync(new Uri(address));
                if (answer.IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }
        }

        throw new TimeoutException(address);
    }

    public static string FreeAddress()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";
    }

    public static long Resident(Process process)
    {
        process.Refresh();
        return process.WorkingSet64 / 1024 / 1024;
    }

    /// <summary>The CPU time that a process has taken so far; none where there is no process.</summary>
    public static TimeSpan Cpu(Process? process)
    {
        process?.Refresh();
        return process?.TotalProcessorTime ?? TimeSpan.Zero;
    }

    public static async Task<string> Describe(Npgsql.NpgsqlDataSource source)
    {
        var line = (await File.ReadAllLinesAsync("/proc/meminfo"))[0];
        var memory = long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024 / 1024;
        await using var command = source.CreateCommand("SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)");
        return $"{Environment.ProcessorCount} cores, {memory} GiB of memory, {await command.ExecuteScalarAsync()}, .NET"
            + $" {Environment.Version}";
    }
}
