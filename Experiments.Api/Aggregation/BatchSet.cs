namespace Experiments.Api.Aggregation;

/// <summary>Batches of events that are counted together.</summary>
/// <param name="Ids">Their ids.</param>
/// <param name="Environments">The environments that they belong to.</param>
/// <param name="From">No event of them is earlier, by either clock.</param>
/// <param name="Until">No event of them is later, by either clock.</param>
internal sealed record BatchSet(long[] Ids, long[] Environments, DateTime From, DateTime Until)
{
    public long First { get; } = Ids.Min();

    public long Newest { get; } = Ids.Max();
}
