using Experiments.Api.Domain;
using Experiments.Api.Metrics;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Folding;

/// <summary>Takes events into what is measured of the identities that they are of, and what that changes into the sums of the arms.</summary>
internal sealed class MetricFold(NpgsqlConnection connection, IReadOnlyList<MetricLink> links)
{
    private readonly Dictionary<long, MeasuredExperiment> _experiments = links
        .GroupBy(link => link.Experiment.Id).ToDictionary(own => own.Key, own => new MeasuredExperiment(own.First().Experiment, own));

    private readonly MetricTaking _taking = new(links);
    private readonly Dictionary<ExposureFold.Key, List<(long Keeper, MetricEvent Event)>> _taken = [];

    /// <summary>Takes up an event for every metric that is about it.</summary>
    public void Take(StoredEvent raw, Func<FoldedExperiment, bool> inTime) => _taking.Take(raw, inTime, (keeper, taken) =>
        Of(new(keeper.Experiment.Id, Identity.Key(raw.Identifier!))).Add((keeper.Id, taken)));

    /// <summary>Has the values of an identity computed anew, because what it was shown has changed.</summary>
    public void Touch(ExposureFold.Key key)
    {
        if (_experiments.ContainsKey(key.ExperimentId))
        {
            Of(key);
        }
    }

    /// <summary>Brings what is measured of everyone who was touched, and the sums, up to date.</summary>
    /// <param name="known">What is known of some identities already, as it is now.</param>
    public async Task Fold(IReadOnlyDictionary<ExposureFold.Key, Exposures> known)
    {
        if (_taken.Count == 0)
        {
            return;
        }

        var keys = _taken.Keys.Order().ToList();
        var exposed = await ExposureFold.Read(connection, [.. keys.Where(key => !known.ContainsKey(key))]);
        var before = await Measurement.Read(connection, keys);
        var (changed, ledger) = (new List<Measurement>(), new Ledger());
        // Those who have many events take long to be measured.
        await using (Heartbeat.Of(connection))
        {
            keys.ForEach(Measure);
        }

        _taken.Clear();
        await Measurement.Write(connection, changed);
        await ledger.Post(connection);

        void Measure(ExposureFold.Key key)
        {
            var old = before.GetValueOrDefault(key);
            var journal = Journal.Of(old?.Events);
            var hasGrown = false;
            foreach (var (keeper, taken) in _taken[key])
            {
                hasGrown |= journal.Add(keeper, taken);
            }

            Exposures? exposures = known.TryGetValue(key, out var fresh) || exposed.TryGetValue(key, out fresh) ? fresh : null;
            var experiment = _experiments[key.ExperimentId];
            var now = experiment.Measure(journal, exposures);
            if (experiment.Post(ledger, (old?.Arm, old?.Numbers ?? []), now) || hasGrown)
            {
                changed.Add(new(key, now.Arm, now.Numbers, journal.Pack()));
            }
        }
    }

    private List<(long Keeper, MetricEvent Event)> Of(ExposureFold.Key key)
    {
        if (!_taken.TryGetValue(key, out var taken))
        {
            _taken.Add(key, taken = []);
        }

        return taken;
    }
}
