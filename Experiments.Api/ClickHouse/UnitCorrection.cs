using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;

namespace Experiments.Api.ClickHouse;

/// <summary>Corrects what is stored of some identities of an experiment by what has been counted anew.</summary>
/// <param name="count">The batches that are counted.</param>
/// <param name="experiment">The experiment.</param>
/// <param name="links">Its metrics.</param>
internal sealed class UnitCorrection(BatchCount count, ExperimentDefinition experiment, IReadOnlyList<MetricLink> links)
{
    private readonly UnitValues _values = new(experiment, links);

    // What cannot be read may be what values are made of, so they are left as they are.
    private readonly bool _keepsValues = count.Incomplete.Contains(experiment.Id);

    private readonly List<ExposureAggregator.Changed> _exposed = [];
    private readonly List<Guid> _unexposed = [];
    private readonly List<UnitMetrics> _measured = [];
    private readonly List<Guid> _unmeasured = [];

    /// <summary>Corrects their rows, and adds the differences to the counts and the sums.</summary>
    public async Task Correct(RebuiltUnits units, IEnumerable<Guid> identities)
    {
        var keys = identities.Order().Select(identity => new ExposureAggregator.Key(experiment.Id, identity)).ToList();
        var exposures = await ExposureAggregator.Read(count.Connection, keys);
        var metrics = await UnitMetrics.Read(count.Connection, keys);
        foreach (var key in keys)
        {
            var index = units.IndexOf(key.Identity);
            Replace(key, exposures.TryGetValue(key, out var exposed) ? exposed : null, index is { } one ? units.Exposure(one) : null);
            if (!_keepsValues)
            {
                Replace(key, metrics.GetValueOrDefault(key), index is { } other ? units.Metrics(other) : null, units);
            }
        }

        await ExposureAggregator.Write(count.Connection, _exposed);
        await UnitMetrics.Write(count.Connection, _measured);
        await Delete("exposures", _unexposed);
        await Delete("unit_metrics", _unmeasured);
    }

    private void Replace(ExposureAggregator.Key key, ExposureState? old, ExposureAggregator.Changed? now)
    {
        if (old == now?.State)
        {
            return;
        }

        if (old is { } before)
        {
            count.Counts.Add(experiment, before, -1);
        }

        if (now is null)
        {
            _unexposed.Add(key.Identity);
        }
        else
        {
            count.Counts.Add(experiment, now.State, 1);
            _exposed.Add(now);
        }
    }

    private void Replace(ExposureAggregator.Key key, UnitMetrics? old, UnitMetrics? now, RebuiltUnits units)
    {
        if (old is null ? now is null : now is not null && units.AreSame(old, now))
        {
            return;
        }

        _values.Post(count.Sums, old?.Values ?? UnitValues.None, now?.Values ?? UnitValues.None);
        if (now is null)
        {
            _unmeasured.Add(key.Identity);
        }
        else
        {
            _measured.Add(now);
        }
    }

    private Task Delete(string table, List<Guid> identities) =>
        identities.Count == 0
            ? Task.CompletedTask
            : count.Connection.ExecuteAsync(
                $"DELETE FROM {table} WHERE experiment_id = @Id AND identity = ANY (@identities)",
                new { experiment.Id, identities }
            );
}
