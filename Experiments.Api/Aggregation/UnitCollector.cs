using System.Runtime.InteropServices;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Aggregation;

/// <summary>Collects the exposures and metric events of each identity from the events of an experiment, in any order.</summary>
/// <param name="experiment">The experiment.</param>
/// <param name="links">Its metrics.</param>
/// <param name="inTime">Whether a batch was early enough to count; null where only such are read.</param>
internal sealed class UnitCollector(
    ExperimentDefinition experiment,
    IReadOnlyList<MetricLink> links,
    Func<ExperimentDefinition, long, bool>? inTime = null
)
{
    private readonly MetricEventMatcher _matcher = new(links);
    private readonly Dictionary<string, int> _indexes = [];
    private readonly List<(string Identifier, ExposureState? State)> _units = [];
    private readonly List<(int Unit, long SourceMetric, MetricEvent Event)> _events = [];

    /// <summary>Adds an event. An event without a unit only adds to the exclusion counts.</summary>
    public void Add(StoredEvent raw, ExposureCountsDelta counts)
    {
        if (!InTime(experiment, raw.Batch))
        {
            return;
        }

        if (experiment.IsConcerned(raw))
        {
            AddExposure(raw, counts);
        }

        _matcher.Take(raw, InTime, (source, unit, taken) => _events.Add((IndexOf(unit), source.Id, taken)));
    }

    /// <summary>Adds what assignment gives to an alias of an identity.</summary>
    public void AddAlias(string identifier, string alias)
    {
        if (_indexes.TryGetValue(identifier, out var index))
        {
            ref var unit = ref CollectionsMarshal.AsSpan(_units)[index];
            unit.State = unit.State is { } state
                ? state with
                {
                    AssignedVariants = state.AssignedVariants | experiment.Assigned(identifier) | experiment.Assigned(alias),
                }
                : null;
        }
    }

    /// <summary>The identities with everything that was added.</summary>
    public RebuiltUnits Build() => new(experiment, links, _units, _events);

    private void AddExposure(StoredEvent raw, ExposureCountsDelta counts)
    {
        if (raw.CountedUnit(experiment, InTime) is not { } identifier)
        {
            if (experiment.Timeline.RanAt(raw.At))
            {
                counts.Add(experiment, raw.At, ExposureState.NoIdentifier, 1);
            }
        }
        else if (experiment.Judge(raw) is { } judged)
        {
            var index = IndexOf(identifier);
            ref var unit = ref CollectionsMarshal.AsSpan(_units)[index];
            unit.State = unit.State?.Merge(judged) ?? judged;
        }
    }

    private bool InTime(ExperimentDefinition counting, long batch) => inTime?.Invoke(counting, batch) ?? true;

    private int IndexOf(string identifier)
    {
        ref var index = ref CollectionsMarshal.GetValueRefOrAddDefault(_indexes, identifier, out var isKnown);
        if (!isKnown)
        {
            index = _units.Count;
            _units.Add((identifier, null));
        }

        return index;
    }
}
