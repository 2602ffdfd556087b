using Experiments.Api.Domain;

namespace Experiments.Api.Aggregation;

/// <summary>Computes the metric values of an identity for one experiment.</summary>
internal sealed class UnitValues(ExperimentDefinition experiment, IEnumerable<MetricLink> links)
{
    private readonly MetricLink[] _links = [.. links.OrderBy(link => link.Layout.Y)];

    /// <summary>The values of an identity that does not count.</summary>
    public static readonly Result None = new(null, [], null);

    /// <summary>The arm of the identity and its metric values, and when they may change by the passing of time.</summary>
    public Result Values(UnitEventHistory history, ExposureState? exposures)
    {
        if (exposures is not { } shown || experiment.Include(shown) is not { Arm: { } arm, From: { } from })
        {
            return None;
        }

        double[]? numbers = null;
        long? dueAfter = null;
        foreach (var link in _links)
        {
            var events = history.Of(link.SourceMetric);
            if (link.Value(events, from) is { IsZero: false } value)
            {
                link.Layout.Write(value, numbers ??= new double[_links[^1].Layout.End]);
            }

            if (link.DueAfter(events, from) is { } due && !(dueAfter <= due))
            {
                dueAfter = due;
            }
        }

        return new((short)arm, numbers ?? [], dueAfter);
    }

    /// <summary>Subtracts the old values from their arm and adds the new values to theirs. Returns false if nothing changed.</summary>
    public bool Post(MetricSumsDelta delta, Result before, Result now)
    {
        var isOther = before.DueAfter != now.DueAfter;
        foreach (var link in _links)
        {
            var (old, value) = (link.Layout.Read(before.Numbers), link.Layout.Read(now.Numbers));
            if (old != value || (before.Arm != now.Arm && !old.IsZero))
            {
                delta.Add(link.Id, before.Arm ?? 0, old, -1);
                delta.Add(link.Id, now.Arm ?? 0, value, 1);
                isOther = true;
            }
        }

        return isOther;
    }

    /// <summary>What is computed for an identity.</summary>
    /// <param name="Arm">The index of the variant in which it counts, or null.</param>
    /// <param name="Numbers">Its values; see <see cref="MetricDefinitions.MetricLayout"/>. Empty while all are 0.</param>
    /// <param name="DueAfter">After how much running time, in ticks, they may change by the passing of time alone, or null.</param>
    internal readonly record struct Result(short? Arm, double[] Numbers, long? DueAfter);
}
