namespace Experiments.Api.Platform.Startup;

/// <summary>What a part of the service needs in order to be sent requests.</summary>
internal interface IReadinessCheck
{
    /// <summary>Why this part is not ready, in a sentence for operators, or null when it is.</summary>
    string? Problem { get; }
}
