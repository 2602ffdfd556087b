using System.Collections;

namespace Experiments.Api.Aggregation;

/// <summary>Compares the rows of a table, one by one, with those that should be in it: one at most for each identity.</summary>
internal sealed class Reconciliation<TRow>(RebuiltUnits units, Func<int, TRow?> expected)
    where TRow : class
{
    private readonly BitArray _matched = new(units.Count);

    /// <summary>The identities that have a row and should have none.</summary>
    public List<Guid> Surplus { get; } = [];

    /// <summary>The rows that are missing or say something else. Complete once each stored row was compared.</summary>
    public IEnumerable<TRow> Differing => Enumerable.Range(0, units.Count).Where(index => !_matched[index]).Select(expected).OfType<TRow>();

    public void Compare(Guid identity, Func<TRow, bool> isStoredAs)
    {
        if (units.IndexOf(identity) is { } index && expected(index) is { } row)
        {
            _matched[index] = isStoredAs(row);
        }
        else
        {
            Surplus.Add(identity);
        }
    }
}
