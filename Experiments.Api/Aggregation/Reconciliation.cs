using System.Collections;

namespace Experiments.Api.Aggregation;

/// <summary>Compares the rows of a table one by one with the expected rows: at most one per identity.</summary>
internal sealed class Reconciliation<TRow>(RebuiltUnits units, Func<int, TRow?> expected)
    where TRow : class
{
    private readonly BitArray _matched = new(units.Count);

    /// <summary>The identities that have a row but should not have one.</summary>
    public List<Guid> Surplus { get; } = [];

    /// <summary>The rows that are missing or different. Complete once every stored row has been compared.</summary>
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
