namespace Experiments.Api.Platform.Startup;

/// <summary>What is done once the schema is there and before the service is ready.</summary>
internal interface IDatabasePreparation
{
    /// <exception cref="InvalidOperationException">The service must not start like this; the message says what to do.</exception>
    Task Prepare(CancellationToken ct);
}
