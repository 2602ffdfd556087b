using System.Text.Json;
using Experiments.Api.Metrics;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Folding;

/// <summary>Which metrics an event is about, and what it is to them. Metrics that are about the same are asked once.</summary>
internal sealed class MetricTaking(IReadOnlyList<MetricLink> links)
{
    private readonly ILookup<(long Environment, string Event), (MetricLink Keeper, DateTime From)> _keepers = links
        .GroupBy(link => link.Keeper)
        .Select(shared => (Keeper: shared.First(link => link.Id == shared.Key), From: shared.Min(link => link.From)))
        .SelectMany(kept => kept.Keeper.Events.Select(name => (Name: name, Kept: kept)))
        .ToLookup(pair => (pair.Kept.Keeper.Experiment.EnvironmentId, pair.Name), pair => pair.Kept);

    public void Take(StoredEvent raw, Func<FoldedExperiment, bool> inTime, Action<MetricLink, MetricEvent> take)
    {
        JsonDocument? metadata = null;
        foreach (var (keeper, from) in _keepers[(raw.EnvironmentId, raw.Event)])
        {
            if (raw.At >= from && inTime(keeper.Experiment))
            {
                metadata ??= raw.Metadata is null ? null : StoredJson.Document(raw.Metadata);
                foreach (var taken in keeper.Take(raw.Event, raw.At, raw.Key, raw.Value, metadata?.RootElement))
                {
                    take(keeper, taken);
                }
            }
        }

        metadata?.Dispose();
    }
}
