using System.Text.Json;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Finds the metrics that use an event, and what it contributes to each. Metrics with the same sources are evaluated once.
/// </summary>
internal sealed class MetricEventMatcher(IReadOnlyList<MetricLink> links)
{
    private readonly ILookup<(long Environment, string Event), (MetricLink SourceMetric, DateTime From)> _sources = links
        .GroupBy(link => link.SourceMetric)
        .Select(shared => (SourceMetric: shared.First(link => link.Id == shared.Key), From: shared.Min(link => link.From)))
        .SelectMany(kept => kept.SourceMetric.Events.Select(name => (Name: name, Kept: kept)))
        .ToLookup(pair => (pair.Kept.SourceMetric.Experiment.EnvironmentId, pair.Name), pair => pair.Kept);

    /// <summary>Passes on what an event contributes, and to which unit. Events without a unit contribute nothing.</summary>
    public void Take(StoredEvent raw, Func<ExperimentDefinition, long, bool> inTime, Action<MetricLink, string, MetricEvent> take)
    {
        JsonDocument? metadata = null;
        foreach (var (source, from) in _sources[(raw.EnvironmentId, raw.Event)])
        {
            if (raw.At >= from && inTime(source.Experiment, raw.Batch) && raw.CountedUnit(source.Experiment, inTime) is { } unit)
            {
                metadata ??= raw.Metadata is null ? null : StoredJson.Document(raw.Metadata);
                foreach (var taken in source.Take(raw.Event, raw.At, raw.Key, raw.Value, metadata?.RootElement))
                {
                    take(source, unit, taken);
                }
            }
        }

        metadata?.Dispose();
    }
}
