namespace Experiments.Api.Platform.Startup;

/// <summary>A readiness condition of one part of the service.</summary>
internal interface IReadinessCheck
{
    /// <summary>Why this part is not ready, in a sentence for operators, or null when it is.</summary>
    string? Problem { get; }
}
