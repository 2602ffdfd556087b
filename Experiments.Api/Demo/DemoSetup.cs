namespace Experiments.Api.Demo;

/// <summary>What the demo needs.</summary>
internal static partial class DemoSetup
{
    public static void AddDemo(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<DemoOptions>().BindConfiguration(DemoOptions.Section).ValidateOnStart();
        builder.Services.AddHostedService<DemoJob>();
    }

    [LoggerMessage(LogLevel.Information, "{Line}")]
    public static partial void DemoProgress(this ILogger logger, string line);

    [LoggerMessage(LogLevel.Warning, "The demo could not be made: {Reason}")]
    public static partial void DemoFailed(this ILogger logger, string reason);
}
