using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Aggregation;

/// <summary>A metric of an experiment that has started, ready to be aggregated.</summary>
internal sealed class MetricLink
{
    private readonly MetricDefinition _definition;
    private readonly MetricFormula _formula;
    private readonly IReadOnlyList<MetricSource> _sources;
    private readonly bool _hasSteps;
    private readonly bool _hasDenominator;

    private MetricLink(Row row, ExperimentDefinition experiment)
    {
        (Id, Experiment, _definition) = (row.Id, experiment, MetricRules.Read(row.Definition));
        var aggregation = Words.Parse<MetricAggregation>(row.Aggregation);
        MetricRules.Check(row.Aggregation, _definition, (path, message) => throw new FormatException($"{path}: {message}"));
        _formula = new(aggregation, _definition);
        _sources = _definition.Sources;
        (_hasSteps, _hasDenominator) = (
            aggregation == MetricAggregation.Funnel,
            aggregation is MetricAggregation.Ratio or MetricAggregation.Retention
        );
        Sources = JsonSerializer.Serialize(
            _sources.Select(source => new
            {
                source.Event,
                source.Filters,
                Property = source.Property ?? "value",
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
    /// Its index among the metrics of the experiment. A started experiment never loses a metric, so the index never changes.
    /// </summary>
    public int Index { get; private set; }

    public IEnumerable<string> Events => _sources.Select(source => source.Event!).Distinct();

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

            foreach (var (index, link) in ofOne.OfType<MetricLink>().Index())
            {
                link.Index = index;
                link.SourceMetric = ofOne.OfType<MetricLink>().First(other => other.Sources == link.Sources).Id;
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

    public MetricValue Value(ReadOnlySpan<MetricEvent> events, DateTime exposed) => _formula.Value(events, exposed, Experiment.Timeline);

    /// <summary>Reads the value from the numbers of an identity. Each metric has two: its value, and an accompanying number.</summary>
    public MetricValue Read(double[] numbers)
    {
        var index = Index * 2;
        if (index + 1 >= numbers.Length)
        {
            return default;
        }

        var (y, other) = (numbers[index], numbers[index + 1]);
        return _hasSteps ? new(y, 0, 0, (int)other)
            : _hasDenominator ? new(y, other, 0, 0)
            : new(y, 0, other, 0);
    }

    /// <summary>Writes the value among an identity's numbers.</summary>
    public void Write(MetricValue value, double[] numbers)
    {
        numbers[Index * 2] = value.Y;
        numbers[(Index * 2) + 1] =
            _hasSteps ? value.Steps
            : _hasDenominator ? value.D
            : value.X;
    }

    internal sealed record Row(long Id, long ExperimentId, string Aggregation, string Definition);
}
