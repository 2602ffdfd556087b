using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Aggregation;

/// <summary>The identities of one experiment as rebuilt from events: the rows that should be stored for each, by index.</summary>
internal sealed class RebuiltUnits
{
    private readonly ExperimentDefinition _experiment;
    private readonly UnitValues _values;
    private readonly IReadOnlyList<(string Identifier, ExposureState? State)> _units;
    private readonly Guid[] _identities;
    private readonly Dictionary<Guid, int> _indexes;

    // The events of all identities, grouped by identity. Those of identity i start at _starts[i].
    private readonly (long SourceMetric, MetricEvent Event)[] _events;
    private readonly int[] _starts;

    public RebuiltUnits(
        ExperimentDefinition experiment,
        IReadOnlyList<MetricLink> links,
        IReadOnlyList<(string Identifier, ExposureState? State)> units,
        IReadOnlyList<(int Unit, long SourceMetric, MetricEvent Event)> events
    )
    {
        (_experiment, _values, _units) = (experiment, new(experiment, links), units);
        _identities = [.. units.Select(unit => Identity.Key(unit.Identifier))];
        _indexes = _identities.Index().ToDictionary(unit => unit.Item, unit => unit.Index);
        _starts = new int[units.Count + 1];
        foreach (var (unit, _, _) in events)
        {
            _starts[unit + 1]++;
        }

        for (var unit = 0; unit < units.Count; unit++)
        {
            _starts[unit + 1] += _starts[unit];
        }

        _events = new (long, MetricEvent)[events.Count];
        var next = _starts.AsSpan(0, units.Count).ToArray();
        foreach (var (unit, source, taken) in events)
        {
            _events[next[unit]++] = (source, taken);
        }
    }

    public int Count => _units.Count;

    /// <summary>The index of an identity, or null if it does not occur in the events.</summary>
    public int? IndexOf(Guid identity) => _indexes.TryGetValue(identity, out var index) ? index : null;

    /// <summary>Adds all exposed identities to the counts and the sums.</summary>
    public void AddTo(ExposureCountsDelta counts, MetricSumsDelta delta)
    {
        for (var index = 0; index < Count; index++)
        {
            if (_units[index].State is { } state)
            {
                counts.Add(_experiment, state, 1);
                _values.Post(delta, UnitValues.None, _values.Values(History(index), state));
            }
        }
    }

    /// <summary>Its exposures row, or null if it was never exposed.</summary>
    public ExposureAggregator.Changed? Exposure(int index) =>
        _units[index] is (var identifier, { } state)
            ? ExposureAggregator.Changed.Of(_experiment, new(_experiment.Id, _identities[index]), identifier, state)
            : null;

    /// <summary>Its unit_metrics row, or null if no metric uses any of its events.</summary>
    public UnitMetrics? Metrics(int index)
    {
        if (_starts[index] == _starts[index + 1])
        {
            return null;
        }

        var history = History(index);
        return UnitMetrics.Of(new(_experiment.Id, _identities[index]), _values.Values(history, _units[index].State), history.Pack());
    }

    /// <summary>Whether two unit_metrics rows are equal, ignoring trailing zeros.</summary>
    public bool AreSame(UnitMetrics one, UnitMetrics other) =>
        !_values.Post(new(), one.Values, other.Values) && one.Events.AsSpan().SequenceEqual(other.Events);

    private UnitEventHistory History(int index)
    {
        var history = new UnitEventHistory();
        for (var e = _starts[index]; e < _starts[index + 1]; e++)
        {
            history.Add(_events[e].SourceMetric, _events[e].Event);
        }

        return history;
    }
}
