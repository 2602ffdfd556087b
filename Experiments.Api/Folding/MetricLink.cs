using System.Text.Json;
using Experiments.Api.Metrics;

namespace Experiments.Api.Folding;

/// <summary>A metric of an experiment that has started, ready to be folded.</summary>
internal sealed class MetricLink(MetricLink.Row row, FoldedExperiment experiment)
{
    private readonly MetricDefinition _definition = MetricRules.Read(row.Definition);

    public long Id => row.Id;

    public FoldedExperiment Experiment => experiment;

    public IEnumerable<string> Events => _definition.Sources.Select(source => source.Event!);

    /// <summary>From when on its events matter.</summary>
    public DateTime From => experiment.Timeline.Runs[0].From.AddDays(-(_definition.LookbackDays ?? 0)).AddMilliseconds(-1);

    /// <summary>What an event is to this metric: once for each place of the definition that it fits.</summary>
    public IEnumerable<MetricEvent> Take(string name, DateTime at, long key, string? value, JsonElement? metadata)
    {
        foreach (var (slot, source) in _definition.Sources.Index())
        {
            // Of a ratio a source without a property counts events.
            var counts = row.Aggregation is not ("sum" or "mean") && !(row.Aggregation == "ratio" && source.Property is not null);
            if (source.Event == name && source.Take(counts, value, metadata) is { } number)
            {
                yield return new(at, key, slot, number);
            }
        }
    }

    public MetricValue Value(IReadOnlyList<MetricEvent> events, DateTime exposed) =>
        MetricValue.Of(row.Aggregation, _definition, events, exposed, experiment.Timeline);

    internal sealed record Row(long Id, long ExperimentId, string Aggregation, string Definition);
}
