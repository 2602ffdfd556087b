using Experiments.Api.Domain;

namespace Experiments.Api.Folding;

/// <summary>The metrics of one experiment, and what they make of an identity.</summary>
internal sealed class MeasuredExperiment(IEnumerable<MetricLink> links)
{
    private readonly MetricLink[] _links = [.. links.OrderBy(link => link.Place)];

    /// <summary>The values, two numbers each; none while all are nought, which they are for whoever does not count.</summary>
    public double[] Numbers(Journal journal, Exposures? exposures)
    {
        double[]? numbers = null;
        if (exposures?.CountsFrom is { } from)
        {
            foreach (var link in _links)
            {
                if (link.Value(journal.Of(link.Keeper), from) is { IsNought: false } value)
                {
                    link.Write(value, numbers ??= new double[2 * _links.Length]);
                }
            }
        }

        return numbers ?? [];
    }

    /// <summary>Takes off the arm what was, and puts on what is. False where they are the same.</summary>
    public bool Post(Ledger ledger, int arm, double[] before, double[] now)
    {
        var isOther = false;
        foreach (var link in _links)
        {
            var (old, value) = (link.Read(before), link.Read(now));
            if (old != value)
            {
                ledger.Add(link.Id, (short)arm, old, -1);
                ledger.Add(link.Id, (short)arm, value, 1);
                isOther = true;
            }
        }

        return isOther;
    }
}
