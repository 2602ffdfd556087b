using System.Runtime.InteropServices;
using Experiments.Api.Domain;
using Experiments.Api.Metrics;

namespace Experiments.Api.Aggregation;

/// <summary>What the events say of identities in one experiment, to be held against what is stored.</summary>
internal sealed class RebuiltUnits(ExperimentDefinition experiment, IReadOnlyList<MetricLink> links)
{
    private readonly MetricEventMatcher _matcher = new(links);
    private readonly UnitValues _values = new(experiment, links);
    private readonly Dictionary<string, int> _places = [];
    private readonly List<(string Identifier, ExposureState? State)> _identities = [];
    private readonly List<(int Place, long SourceMetric, MetricEvent Event)> _taken = [];
    private readonly Dictionary<Guid, int> _byKey = [];
    private readonly List<Guid> _unmatched = [];
    private int[] _starts = [];
    private (long SourceMetric, MetricEvent Event)[] _events = [];
    private bool[] _isMatched = [];

    public int Count => _identities.Count;

    public void Take(StoredEvent raw, ExposureCounts counts)
    {
        if (experiment.IsConcerned(raw))
        {
            Show(raw, counts);
        }

        if (!string.IsNullOrEmpty(raw.Identifier))
        {
            _matcher.Take(raw, _ => true, (source, taken) => _taken.Add((Place(raw.Identifier), source.Id, taken)));
        }
    }

    /// <summary>When all events are taken: puts them in the order of their identities, and adds up what follows from them.</summary>
    public void Settle(ExposureCounts counts, MetricSumsDelta delta)
    {
        // As many as fit each, one identity after the other.
        _starts = new int[_identities.Count + 1];
        foreach (var (place, _, _) in _taken)
        {
            _starts[place + 1]++;
        }

        for (var place = 0; place < _identities.Count; place++)
        {
            _starts[place + 1] += _starts[place];
        }

        _events = new (long, MetricEvent)[_taken.Count];
        var next = _starts.AsSpan(0, _identities.Count).ToArray();
        foreach (var (place, source, taken) in _taken)
        {
            _events[next[place]++] = (source, taken);
        }

        _taken.Clear();
        _taken.TrimExcess();
        for (var place = 0; place < _identities.Count; place++)
        {
            var (identifier, exposures) = _identities[place];
            _byKey.Add(Identity.Key(identifier), place);
            if (exposures is { } shown)
            {
                counts.Add(experiment, shown, 1);
                _values.Post(delta, (null, []), Values(place).Now);
            }
        }

        _isMatched = new bool[_identities.Count];
    }

    /// <summary>Whether anything is to be stored of this identity; and remembers whether it is this.</summary>
    public bool Matches(Guid identity, ExposureState stored, int? countsIn, double? draw)
    {
        if (!_byKey.TryGetValue(identity, out var place) || _identities[place] is not (var identifier, { } exposures))
        {
            return false;
        }

        _isMatched[place] = exposures == stored && experiment.Include(exposures).Arm == countsIn && experiment.Draw(identifier) == draw;
        return true;
    }

    /// <summary>Those whose exposures are not stored as they are. Then the same can be asked of what is measured.</summary>
    public IEnumerable<ExposureAggregator.Changed> UnmatchedExposures()
    {
        foreach (var (identity, place) in _byKey)
        {
            if (!_isMatched[place] && _identities[place] is (var identifier, { } exposures))
            {
                yield return ExposureAggregator.Changed.Of(experiment, new(experiment.Id, identity), identifier, exposures);
            }

            _isMatched[place] = false;
        }
    }

    /// <summary>Whether anything is to be stored of this identity; and remembers whether it is this.</summary>
    public bool Matches(UnitMetrics stored)
    {
        if (!_byKey.TryGetValue(stored.Key.Identity, out var place) || _starts[place] == _starts[place + 1])
        {
            return false;
        }

        var (history, now) = Values(place);
        _isMatched[place] = !_values.Post(new(), (stored.Arm, stored.Numbers), now) && history.Pack().AsSpan().SequenceEqual(stored.Events);
        return true;
    }

    public IEnumerable<UnitMetrics> UnmatchedUnits()
    {
        foreach (var (identity, place) in _byKey)
        {
            if (!_isMatched[place] && _starts[place] < _starts[place + 1])
            {
                var (history, now) = Values(place);
                yield return new(new(experiment.Id, identity), now.Arm, now.Numbers, history.Pack());
            }
        }
    }

    private void Show(StoredEvent raw, ExposureCounts counts)
    {
        if (string.IsNullOrEmpty(raw.Identifier))
        {
            if (experiment.Timeline.RanAt(raw.At))
            {
                counts.Add(experiment, raw.At, ExposureState.NoIdentifier, 1);
            }
        }
        else if (experiment.Judge(raw) is { } judged)
        {
            var place = Place(raw.Identifier);
            ref var known = ref CollectionsMarshal.AsSpan(_identities)[place];
            known.State = known.State?.Merge(judged) ?? judged;
        }
    }

    private int Place(string identifier)
    {
        ref var place = ref CollectionsMarshal.GetValueRefOrAddDefault(_places, identifier, out var isKnown);
        if (!isKnown)
        {
            place = _identities.Count;
            _identities.Add((identifier, null));
        }

        return place;
    }

    private (UnitEventHistory UnitEventHistory, (short? Arm, double[] Numbers) Now) Values(int place)
    {
        var history = new UnitEventHistory();
        for (var index = _starts[place]; index < _starts[place + 1]; index++)
        {
            history.Add(_events[index].SourceMetric, _events[index].Event);
        }

        return (history, _values.Values(history, _identities[place].State));
    }
}
