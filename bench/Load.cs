using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Experiments.Bench;

/// <summary>What one run of a load reached.</summary>
internal sealed record Measured(double PerSecond, double P50, double P99)
{
    /// <summary>How many requests were answered.</summary>
    public double Requests { get; init; }

    /// <summary>The CPU time that the server took for one of them, in microseconds.</summary>
    public double Cpu { get; init; }

    /// <summary>The run with the median rate.</summary>
    public static Measured Median(IReadOnlyList<Measured> runs) => runs.OrderBy(run => run.PerSecond).ElementAt(runs.Count / 2);
}

/// <summary>Drives wrk and pgbench, and reads what they print.</summary>
internal static partial class Load
{
    private const int Connections = 32;

    public static async Task<Measured> Wrk(string address, string requests, string header, bool once, TimeSpan duration)
    {
        var script = Path.Combine(AppContext.BaseDirectory, "requests.lua");
        var said = await Run(
            "wrk",
            [
                "-t2",
                $"-c{Connections}",
                $"-d{duration.TotalSeconds.ToString(CultureInfo.InvariantCulture)}s",
                "--latency",
                "-s",
                script,
                address,
                "--",
                requests,
                header,
                once ? "once" : "random",
            ]
        );
        if (said.Contains("Non-2xx", StringComparison.Ordinal) || said.Contains("Socket errors", StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"Not every request succeeded:\n{said}");
        }

        return new(Number(Rate(), said), Milliseconds(P50(), said), Milliseconds(P99(), said)) { Requests = Number(Total(), said) };
    }

    public static async Task<Measured> Pgbench(string socket, string script, TimeSpan duration)
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, script);
        var programs = Directory.GetDirectories("/usr/lib/postgresql").Order().Last();
        var said = await Run(
            Path.Combine(programs, "bin", "pgbench"),
            [
                "-n",
                "-D",
                "n=-1",
                "-M",
                "prepared",
                "-c",
                $"{Connections}",
                "-j",
                "2",
                "-T",
                $"{(int)Math.Ceiling(duration.TotalSeconds)}",
                "-f",
                file,
                "-h",
                socket,
                "-U",
                "experiments",
                "postgres",
            ]
        );
        File.Delete(file);
        var latency = Number(AverageLatency(), said);
        return new(Number(Transactions(), said), latency, double.NaN);
    }

    public static async Task<string> Run(string program, string[] arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true }
        )!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? await output : throw new InvalidOperationException($"{program}: {await error}{await output}");
    }

    private static double Number(Regex what, string said) =>
        what.Match(said) is { Success: true } match
            ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException(said);

    private static double Milliseconds(Regex what, string said)
    {
        var match = what.Match(said);
        var factor = match.Groups[2].Value switch
        {
            "us" => 0.001,
            "s" => 1000,
            _ => 1,
        };
        return double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) * factor;
    }

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex Total();

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex Rate();

    [GeneratedRegex(@"50%\s+([\d.]+)(us|ms|s)")]
    private static partial Regex P50();

    [GeneratedRegex(@"99%\s+([\d.]+)(us|ms|s)")]
    private static partial Regex P99();

    [GeneratedRegex(@"tps = ([\d.]+)")]
    private static partial Regex Transactions();

    [GeneratedRegex(@"latency average = ([\d.]+) ms")]
    private static partial Regex AverageLatency();
}
