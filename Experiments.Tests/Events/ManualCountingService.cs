using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Experiments.Tests.Events;

/// <summary>A service with its events in PostgreSQL whose worker can be stopped, so that a test counts in its place.</summary>
public sealed class ManualCountingService(TestCluster cluster) : TestService(cluster)
{
    protected override string[] Settings => ["--Events:Store=postgresql"];

    /// <summary>How long after the end of an experiment late events count.</summary>
    public TimeSpan Late => Services.GetRequiredService<IOptions<ResultsOptions>>().Value.LateEvents;

    public Task Pause() => Services.GetRequiredService<AggregationWorker>().StopAsync(CancellationToken.None);

    public Task Resume() => Services.GetRequiredService<AggregationWorker>().StartAsync(CancellationToken.None);
}
