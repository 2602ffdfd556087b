using System.Diagnostics;

namespace Experiments.Tests.Support;

/// <summary>Runs a command of the service as an operator does, in a process of its own.</summary>
public static class CommandLine
{
    public static Task<(int ExitCode, string Output, string Error)> Run(string connectionString, params string[] arguments) =>
        RunWith(("ConnectionStrings__Experiments", connectionString), arguments);

    /// <summary>The same with one environment variable.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunWith(
        (string Name, string Value) variable,
        params string[] arguments
    )
    {
        using var process = Process.Start(
            new ProcessStartInfo("dotnet", [typeof(Api.Platform.Problem).Assembly.Location, .. arguments])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment = { [variable.Name] = variable.Value },
            }
        )!;
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
