using System.Diagnostics;

namespace Experiments.Tests.Support;

/// <summary>Runs a command of the service as an operator does, in a process of its own.</summary>
public static class CommandLine
{
    public static Task<(int ExitCode, string Output, string Error)> Run(string connectionString, params string[] arguments) =>
        RunWith(("ConnectionStrings__Experiments", connectionString), arguments);

    /// <summary>The same with one environment variable.</summary>
    public static Task<(int ExitCode, string Output, string Error)> RunWith(
        (string Name, string Value) variable,
        params string[] arguments
    ) => RunWith([variable], arguments);

    /// <summary>The same with these environment variables.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunWith(
        (string Name, string Value)[] variables,
        string[] arguments
    )
    {
        var start = new ProcessStartInfo("dotnet", [typeof(Api.Platform.Problem).Assembly.Location, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        finally
        {
            process.Kill();
        }

        return (process.ExitCode, (await output).Trim(), (await error).Trim());
    }
}
