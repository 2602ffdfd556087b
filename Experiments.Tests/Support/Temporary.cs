namespace Experiments.Tests.Support;

/// <summary>Directories for one run, where the user that PostgreSQL runs as can reach them.</summary>
internal static class Temporary
{
    public static string Directory(string name) =>
        Path.Combine("/tmp", $"experiments-tests-{Environment.ProcessId}-{name}-{Guid.NewGuid().ToString("N")[..8]}");
}
