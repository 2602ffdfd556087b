namespace Experiments.Api.Aggregation;

/// <summary>Batches of events that are counted together.</summary>
/// <param name="Ids">Their ids.</param>
/// <param name="Slots">Which slots of each are counted, a bit for each of <see cref="Slot.Count"/>.</param>
/// <param name="Environments">The environments that they belong to.</param>
/// <param name="From">No event of them is earlier, by either clock.</param>
/// <param name="Until">No event of them is later, by either clock.</param>
internal sealed record BatchSet(long[] Ids, int[] Slots, long[] Environments, DateTime From, DateTime Until)
{
    private readonly Dictionary<long, int> _slots = Ids.Zip(Slots).ToDictionary(one => one.First, one => one.Second);

    public long First { get; } = Ids.Min();

    public long Newest { get; } = Ids.Max();

    /// <summary>Whether all slots of all batches are counted.</summary>
    public bool IsWhole { get; } = Slots.All(slots => slots == Slot.All);

    /// <summary>The slots that are counted of some batch.</summary>
    public int AnySlots { get; } = Slots.Aggregate(0, (all, slots) => all | slots);

    /// <summary>Whether a slot of a batch is counted.</summary>
    public bool Has(long batch, int slot) => (_slots[batch] >> slot & 1) != 0;

    /// <summary>The batches of which this slot is counted.</summary>
    public long[] With(int slot) => [.. Ids.Where(id => Has(id, slot))];
}
