namespace Experiments.Api.Platform.Startup;

/// <summary>Something to try the service with in Development.</summary>
internal interface IDemo
{
    /// <summary>Makes a demo when there is no project yet.</summary>
    /// <returns>The key of an environment to try things in, or null when there is none.</returns>
    Task<string?> EnvironmentKey(CancellationToken ct);
}
