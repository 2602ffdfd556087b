using System.Runtime.InteropServices;
using Experiments.Api.Domain;
using Experiments.Api.Metrics;

namespace Experiments.Api.Folding;

/// <summary>What the events say of identities in one experiment, to be held against what is stored.</summary>
internal sealed class RecomputedIdentities(FoldedExperiment experiment, IReadOnlyList<MetricLink> links)
{
    private readonly MetricTaking _taking = new(links);
    private readonly MeasuredExperiment _measured = new(experiment, links);
    private readonly Dictionary<string, int> _places = [];
    private readonly List<(string Identifier, Exposures? Exposures)> _identities = [];
    private readonly List<(int Place, long Keeper, MetricEvent Event)> _taken = [];
    private readonly Dictionary<Guid, int> _byKey = [];
    private readonly List<Guid> _unmatched = [];
    private int[] _starts = [];
    private (long Keeper, MetricEvent Event)[] _events = [];
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
            _taking.Take(raw, _ => true, (keeper, taken) => _taken.Add((Place(raw.Identifier), keeper.Id, taken)));
        }
    }

    /// <summary>When all events are taken: puts them in the order of their identities, and adds up what follows from them.</summary>
    public void Settle(ExposureCounts counts, Ledger ledger)
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
        foreach (var (place, keeper, taken) in _taken)
        {
            _events[next[place]++] = (keeper, taken);
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
                _measured.Post(ledger, (null, []), Measure(place).Now);
            }
        }

        _isMatched = new bool[_identities.Count];
    }

    /// <summary>Whether anything is to be stored of this identity; and remembers whether it is this.</summary>
    public bool Matches(Guid identity, Exposures stored, int? countsIn, double? draw)
    {
        if (!_byKey.TryGetValue(identity, out var place) || _identities[place] is not (var identifier, { } exposures))
        {
            return false;
        }

        _isMatched[place] = exposures == stored && experiment.Stand(exposures).Arm == countsIn && experiment.Draw(identifier) == draw;
        return true;
    }

    /// <summary>Those whose exposures are not stored as they are. Then the same can be asked of what is measured.</summary>
    public IEnumerable<ExposureFold.Changed> UnmatchedExposures()
    {
        foreach (var (identity, place) in _byKey)
        {
            if (!_isMatched[place] && _identities[place] is (var identifier, { } exposures))
            {
                yield return ExposureFold.Changed.Of(experiment, new(experiment.Id, identity), identifier, exposures);
            }

            _isMatched[place] = false;
        }
    }

    /// <summary>Whether anything is to be stored of this identity; and remembers whether it is this.</summary>
    public bool Matches(Measurement stored)
    {
        if (!_byKey.TryGetValue(stored.Key.Identity, out var place) || _starts[place] == _starts[place + 1])
        {
            return false;
        }

        var (journal, now) = Measure(place);
        _isMatched[place] = !_measured.Post(new(), (stored.Arm, stored.Numbers), now) && journal.Pack().AsSpan().SequenceEqual(stored.Events);
        return true;
    }

    public IEnumerable<Measurement> UnmatchedMeasurements()
    {
        foreach (var (identity, place) in _byKey)
        {
            if (!_isMatched[place] && _starts[place] < _starts[place + 1])
            {
                var (journal, now) = Measure(place);
                yield return new(new(experiment.Id, identity), now.Arm, now.Numbers, journal.Pack());
            }
        }
    }

    private void Show(StoredEvent raw, ExposureCounts counts)
    {
        if (string.IsNullOrEmpty(raw.Identifier))
        {
            if (experiment.Timeline.RanAt(raw.At))
            {
                counts.Add(experiment, raw.At, Exposures.NoIdentifier, 1);
            }
        }
        else if (experiment.Judge(raw) is { } judged)
        {
            var place = Place(raw.Identifier);
            ref var known = ref CollectionsMarshal.AsSpan(_identities)[place];
            known.Exposures = known.Exposures?.Merge(judged) ?? judged;
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

    private (Journal Journal, (short? Arm, double[] Numbers) Now) Measure(int place)
    {
        var journal = new Journal();
        for (var index = _starts[place]; index < _starts[place + 1]; index++)
        {
            journal.Add(_events[index].Keeper, _events[index].Event);
        }

        return (journal, _measured.Measure(journal, _identities[place].Exposures));
    }
}
