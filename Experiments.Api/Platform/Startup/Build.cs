namespace Experiments.Api.Platform.Startup;

/// <summary>Which build of the service this is.</summary>
internal static class Build
{
    /// <summary>The version, as the changelog numbers it.</summary>
    public static string Version { get; } = typeof(Build).Assembly.GetName().Version!.ToString(3);
}
