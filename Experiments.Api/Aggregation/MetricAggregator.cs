using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Updates the unit metrics with new events, and says what the sums of the arms change by.</summary>
/// <param name="connection">The connection of the aggregating transaction.</param>
/// <param name="links">The metrics.</param>
/// <param name="sums">Takes what the sums change by.</param>
/// <param name="isBackfill">Whether events that are known already may be new to one of the metrics.</param>
internal sealed class MetricAggregator(
    NpgsqlConnection connection,
    IReadOnlyList<MetricLink> links,
    MetricSumsDelta sums,
    bool isBackfill = false
)
{
    private readonly Dictionary<long, UnitValues> _experiments = links
        .GroupBy(link => link.Experiment.Id)
        .ToDictionary(own => own.Key, own => new UnitValues(own.First().Experiment, own));

    private readonly MetricEventMatcher _matcher = new(links);
    private readonly Dictionary<ExposureAggregator.Key, List<(long SourceMetric, MetricEvent Event)>> _taken = [];
    private readonly HashSet<ExposureAggregator.Key> _forced = [];

    /// <summary>Collects an event for every metric that uses it.</summary>
    public void Take(StoredEvent raw, Func<ExperimentDefinition, long, bool> inTime) =>
        _matcher.Take(raw, inTime, (source, unit, taken) => Of(new(source.Experiment.Id, raw.KeyOf(unit))).Add((source.Id, taken)));

    /// <summary>Moves what is stored of aliases to the identities that they are known as.</summary>
    public async Task Move(IReadOnlyCollection<ExposureAggregator.Join> joins)
    {
        var own = joins.Where(join => _experiments.ContainsKey(join.Alias.ExperimentId)).ToDictionary(join => join.Alias);
        foreach (var (key, unit) in await UnitMetrics.Remove(connection, own.Keys))
        {
            _experiments[key.ExperimentId].Post(sums, unit.Values, UnitValues.None);
            Of(own[key].Known).AddRange(UnitEventHistory.Of(unit.Events).All);
        }
    }

    /// <summary>Marks an identity for recalculation, because its exposure has changed.</summary>
    public void Recalculate(ExposureAggregator.Key key)
    {
        if (_experiments.ContainsKey(key.ExperimentId))
        {
            _forced.Add(key);
            Of(key);
        }
    }

    /// <summary>Updates the unit metrics of every affected identity.</summary>
    /// <param name="known">The current exposure state of some of the identities.</param>
    public async Task Aggregate(IReadOnlyDictionary<ExposureAggregator.Key, ExposureState> known)
    {
        foreach (var keys in _taken.Keys.Order().Chunk(UnitMetrics.AtOnce))
        {
            await Aggregate(keys, known);
        }

        _taken.Clear();
        _forced.Clear();
    }

    private async Task Aggregate(ExposureAggregator.Key[] keys, IReadOnlyDictionary<ExposureAggregator.Key, ExposureState> known)
    {
        var exposed = await ExposureAggregator.Read(connection, [.. keys.Where(key => !known.ContainsKey(key))]);
        var before = await UnitMetrics.Read(connection, keys);
        var changed = new List<UnitMetrics>();
        // Identities with many events take a long time to compute.
        await using (Heartbeat.Of(connection))
        {
            Array.ForEach(keys, Values);
        }

        await UnitMetrics.Write(connection, changed);

        void Values(ExposureAggregator.Key key)
        {
            var old = before.GetValueOrDefault(key);
            var history = UnitEventHistory.Of(old?.Events);
            var hasGrown = false;
            foreach (var (source, taken) in _taken[key])
            {
                hasGrown |= history.Add(source, taken);
            }

            // An event that was already known changes nothing, unless the identity is to be recalculated for another reason.
            if (!isBackfill && !hasGrown && !_forced.Contains(key))
            {
                return;
            }

            ExposureState? exposures = known.TryGetValue(key, out var fresh) || exposed.TryGetValue(key, out fresh) ? fresh : null;
            var experiment = _experiments[key.ExperimentId];
            var now = experiment.Values(history, exposures);
            if (experiment.Post(sums, old?.Values ?? UnitValues.None, now) || hasGrown)
            {
                changed.Add(UnitMetrics.Of(key, now, history.Pack()));
            }
        }
    }

    private List<(long SourceMetric, MetricEvent Event)> Of(ExposureAggregator.Key key)
    {
        if (!_taken.TryGetValue(key, out var taken))
        {
            _taken.Add(key, taken = []);
        }

        return taken;
    }
}
