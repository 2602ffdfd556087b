using Experiments.Api;
using Microsoft.Extensions.Options;

args = Commands.Expanded(args);
if (await Commands.Run(args) is { } exitCode)
{
    return exitCode;
}

try
{
    await using var app = Service.Build(args);
    await app.RunAsync();
    return Environment.ExitCode;
}
catch (OperationCanceledException) when (Environment.ExitCode != 0)
{
    // The service stopped itself while it was starting, and has said why.
    return Environment.ExitCode;
}
catch (Exception exception) when (exception is InvalidOperationException or OptionsValidationException or AggregateException)
{
    // For errors that the operator can fix, the message says how.
    foreach (var cause in exception is AggregateException several ? [.. several.InnerExceptions] : new[] { exception })
    {
        await Console.Error.WriteLineAsync(cause.Message);
    }

    return 1;
}
