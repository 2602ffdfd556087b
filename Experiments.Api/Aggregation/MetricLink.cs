using System.Collections.Concurrent;
using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Aggregation;

/// <summary>A metric of an experiment that has started, ready to be aggregated.</summary>
internal sealed class MetricLink
{
    // Definitions that hold what the rules ask for, which need not be checked again for every batch.
    private static readonly ConcurrentDictionary<(string Aggregation, string Definition), bool> Checked = new();

    private const int MostChecked = 10_000;

    private readonly MetricDefinition _definition;
    private readonly MetricFormula _formula;
    private readonly IReadOnlyList<MetricSource> _sources;
    private readonly MetricAggregation _aggregation;

    private MetricLink(Row row, ExperimentDefinition experiment)
    {
        (Id, Experiment, _definition) = (row.Id, experiment, MetricRules.Read(row.Definition));
        (_aggregation, AsOf) = (Words.Parse<MetricAggregation>(row.Aggregation), row.AsOf);
        if (!Checked.ContainsKey((row.Aggregation, row.Definition)))
        {
            MetricRules.Check(row.Aggregation, _definition, (path, message) => throw new FormatException($"{path}: {message}"));
            if (Checked.Count >= MostChecked)
            {
                Checked.Clear();
            }

            Checked.TryAdd((row.Aggregation, row.Definition), true);
        }

        _formula = new(_aggregation, _definition);
        Layout = MetricLayout.Of(_aggregation, _definition, 0);
        _sources = _definition.Sources;
        Sources = JsonSerializer.Serialize(
            _sources.Select(source => new
            {
                source.Event,
                source.Filters,
                Property = source.Property ?? "value",
                IsDistinct = _aggregation == MetricAggregation.CountDistinct,
            })
        );
    }

    public long Id { get; }

    public ExperimentDefinition Experiment { get; }

    /// <summary>The sources of the metric. Metrics of one experiment with the same sources share their stored events.</summary>
    public string Sources { get; }

    /// <summary>The metric under which the events are stored: the first one with the same sources.</summary>
    public long SourceMetric { get; private set; }

    /// <summary>
    /// Where its values stand among the numbers of an identity. A started experiment never loses a metric, so this never changes.
    /// </summary>
    public MetricLayout Layout { get; private set; }

    /// <summary>Up to when the windows of identities that are over have been taken into account; null before the first time.</summary>
    public DateTime? AsOf { get; private set; }

    /// <summary>Takes the windows into account that are over by then. Time does not go backwards.</summary>
    public void Mature(DateTime asOf) => AsOf = AsOf > asOf ? AsOf : asOf;

    /// <summary>For how long after its exposure the value of an identity is open, or null.</summary>
    public TimeSpan? Window => _definition.Window;

    /// <summary>Whether the value of an identity changes when a window is over.</summary>
    public bool HasWindows => _definition.RunsOn > TimeSpan.Zero;

    /// <summary>Whether identities whose windows were cut short at the end count by what they did until then.</summary>
    public bool CountsCutShort => _aggregation != MetricAggregation.Retention;

    public IEnumerable<string> Events => _sources.Select(source => source.Event!).Distinct();

    /// <summary>The names of the events that count for some experiments: their exposures, and those of their metrics.</summary>
    public static string[] EventsOf(IEnumerable<ExperimentDefinition> experiments, IEnumerable<MetricLink> links) =>
        [.. links.SelectMany(link => link.Events).Concat(experiments.Select(experiment => experiment.ExposureEvent)).Distinct()];

    /// <summary>The events whose metadata it depends on.</summary>
    public IEnumerable<string> EventsWithMetadata =>
        _sources.Where(source => source.ReadsMetadata).Select(source => source.Event!).Distinct();

    /// <summary>The earliest instant from which its events matter.</summary>
    public DateTime From => Experiment.Timeline.Runs[0].From.AddDays(-(_definition.LookbackDays ?? 0)).AddMilliseconds(-1);

    /// <summary>The metrics of some experiments in the order in which they were attached, with their indexes and source metrics.</summary>
    public static IReadOnlyList<MetricLink> Of(
        IEnumerable<Row> rows,
        Func<long, ExperimentDefinition> experiment,
        List<UnreadableDefinition> unreadable
    )
    {
        var links = new List<MetricLink>();
        foreach (var rowsOfOne in rows.GroupBy(row => row.ExperimentId))
        {
            // The values of an identity are one row, and metrics share events, so one metric that can't be read holds back the others of
            // its experiment.
            var ofOne = rowsOfOne
                .OrderBy(row => row.Id)
                .Select(row =>
                    UnreadableDefinition.TryRead(
                        row.ExperimentId,
                        row.Id,
                        unreadable,
                        () => new MetricLink(row, experiment(row.ExperimentId))
                    )
                )
                .ToList();
            if (ofOne.Contains(null))
            {
                continue;
            }

            var start = 0;
            foreach (var link in ofOne.OfType<MetricLink>())
            {
                link.Layout = MetricLayout.Of(link._aggregation, link._definition, start);
                link.SourceMetric = ofOne.OfType<MetricLink>().First(other => other.Sources == link.Sources).Id;
                start = link.Layout.End;
                links.Add(link);
            }
        }

        return links;
    }

    /// <summary>
    /// What an event contributes to this metric: one entry for each slot of the definition that it matches, with its number if it has
    /// one.
    /// </summary>
    public IEnumerable<MetricEvent> Take(string name, DateTime at, long key, string? value, JsonElement? metadata) =>
        _formula.Take(name, at, key, value, metadata);

    public MetricValue Value(ReadOnlySpan<MetricEvent> events, DateTime exposed) =>
        _formula.Value(events, exposed, Experiment.Timeline, HasWindows ? AsOf ?? DateTime.MinValue : null);

    /// <summary>When the value was first other than 0, by the events that count for it; null if it is 0.</summary>
    public DateTime? ConvertedAt(ReadOnlySpan<MetricEvent> events, DateTime exposed)
    {
        if (Value(events, exposed).Y == 0)
        {
            return null;
        }

        // What has happened stays so, and a binary search finds when. Sums may return to 0 and are followed event by event.
        var (first, last) = (1, events.Length);
        if (
            _aggregation
            is MetricAggregation.Occurrence
                or MetricAggregation.Count
                or MetricAggregation.CountDistinct
                or MetricAggregation.Funnel
                or MetricAggregation.Retention
        )
        {
            while (first < last)
            {
                var middle = (first + last) / 2;
                (first, last) = Value(events[..middle], exposed).Y != 0 ? (first, middle) : (middle + 1, last);
            }
        }
        else
        {
            while (first < last && (events[first - 1].At < exposed || Value(events[..first], exposed).Y == 0))
            {
                first++;
            }
        }

        return events[first - 1].At;
    }

    /// <summary>
    /// After how much running time, in ticks, the value may change by the passing of time alone; null if it never does.
    /// </summary>
    public long? DueAfter(ReadOnlySpan<MetricEvent> events, DateTime exposed) =>
        HasWindows ? _formula.DueAfter(events, exposed, Experiment.Timeline, AsOf)?.Ticks : null;

    internal sealed record Row(long Id, long ExperimentId, string Aggregation, string Definition, DateTime? AsOf);
}
