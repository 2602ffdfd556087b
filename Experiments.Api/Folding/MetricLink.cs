using System.Text.Json;
using Experiments.Api.Metrics;

namespace Experiments.Api.Folding;

/// <summary>A metric of an experiment that has started, ready to be folded.</summary>
internal sealed class MetricLink
{
    private readonly string _aggregation;
    private readonly MetricDefinition _definition;
    private readonly bool[] _counts;

    public MetricLink(Row row, FoldedExperiment experiment)
    {
        (Id, Experiment, _aggregation, _definition) = (row.Id, experiment, row.Aggregation, MetricRules.Read(row.Definition));
        // Of a ratio a source without a property counts events.
        _counts = [.. _definition.Sources.Select(source => row.Aggregation is not ("sum" or "mean") && !(row.Aggregation == "ratio" && source.Property is not null))];
        Sources = JsonSerializer.Serialize(_definition.Sources.Select(source => new { source.Event, source.Filters, Property = source.Property ?? "value" }));
    }

    public long Id { get; }

    public FoldedExperiment Experiment { get; }

    /// <summary>What the metric is about. Metrics of an experiment that are about the same share their events.</summary>
    public string Sources { get; }

    /// <summary>Under which metric the events are kept: the first that is about the same.</summary>
    public long Keeper { get; private set; }

    public IEnumerable<string> Events => _definition.Sources.Select(source => source.Event!);

    /// <summary>From when on its events matter.</summary>
    public DateTime From => Experiment.Timeline.Runs[0].From.AddDays(-(_definition.LookbackDays ?? 0)).AddMilliseconds(-1);

    /// <summary>The metrics of an experiment, with who keeps whose events. The order in which they were attached never changes, and so neither does that.</summary>
    public static IReadOnlyList<MetricLink> Of(IEnumerable<Row> rows, Func<long, FoldedExperiment> experiment)
    {
        var links = rows.OrderBy(row => row.Id).Select(row => new MetricLink(row, experiment(row.ExperimentId))).ToList();
        foreach (var shared in links.GroupBy(link => (link.Experiment.Id, link.Sources)))
        {
            var keeper = shared.Min(link => link.Id);
            foreach (var link in shared)
            {
                link.Keeper = keeper;
            }
        }

        return links;
    }

    /// <summary>What an event is to this metric: once for each place of the definition that it fits, with its number where it has one.</summary>
    public IEnumerable<MetricEvent> Take(string name, DateTime at, long key, string? value, JsonElement? metadata)
    {
        foreach (var (slot, source) in _definition.Sources.Index())
        {
            if (source.Event == name && source.Passes(value, metadata))
            {
                yield return new(at, key, slot, source.NumberOf(value, metadata) ?? double.NaN);
            }
        }
    }

    public MetricValue Value(IEnumerable<MetricEvent> kept, DateTime exposed)
    {
        var events = kept.Where(e => _counts[e.Slot] || !double.IsNaN(e.Value)).Select(e => _counts[e.Slot] ? e with { Value = 1 } : e).Order().ToList();
        return MetricValue.Of(_aggregation, _definition, events, exposed, Experiment.Timeline);
    }

    internal sealed record Row(long Id, long ExperimentId, string Aggregation, string Definition);
}
