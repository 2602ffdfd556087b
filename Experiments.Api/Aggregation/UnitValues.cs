using Experiments.Api.Domain;

namespace Experiments.Api.Aggregation;

/// <summary>Computes the metric values of an identity for one experiment.</summary>
internal sealed class UnitValues(ExperimentDefinition experiment, IEnumerable<MetricLink> links)
{
    private readonly MetricLink[] _links = [.. links.OrderBy(link => link.Index)];

    /// <summary>
    /// The arm of the identity and its metric values, two numbers each. Empty while all are zero, as they are for an identity that does
    /// not count.
    /// </summary>
    public (short? Arm, double[] Numbers) Values(UnitEventHistory history, ExposureState? exposures)
    {
        if (exposures is not { } shown || experiment.Include(shown) is not { Arm: { } arm, From: { } from })
        {
            return (null, []);
        }

        double[]? numbers = null;
        foreach (var link in _links)
        {
            if (link.Value(history.Of(link.SourceMetric), from) is { IsZero: false } value)
            {
                link.Write(value, numbers ??= new double[2 * _links.Length]);
            }
        }

        return ((short)arm, numbers ?? []);
    }

    /// <summary>Subtracts the old values from their arm and adds the new values to theirs. Returns false if nothing changed.</summary>
    public bool Post(MetricSumsDelta delta, (short? Arm, double[] Numbers) before, (short? Arm, double[] Numbers) now)
    {
        var isOther = false;
        foreach (var link in _links)
        {
            var (old, value) = (link.Read(before.Numbers), link.Read(now.Numbers));
            if (old != value || (before.Arm != now.Arm && !old.IsZero))
            {
                delta.Add(link.Id, before.Arm ?? 0, old, -1);
                delta.Add(link.Id, now.Arm ?? 0, value, 1);
                isOther = true;
            }
        }

        return isOther;
    }
}
