namespace Experiments.Api.Slices.Results;

/// <summary>What is kept of an experiment's results.</summary>
internal sealed record ResultsRow(
    DateTime? StartedAt,
    DateTime? WindowsCloseAt,
    DateTime Now,
    string? Payload,
    DateTime? AsOf,
    DateTime? RefreshRequestedAt,
    string? LastError,
    DateTime? LastErrorAt,
    int Erased,
    bool HasAllMetrics,
    bool IsPlannedAnew,
    DateTime? HeldSince,
    string? HeldReason,
    string? Warehouse,
    bool IsReadSince,
    bool IsToBeRead
)
{
    private static readonly TimeSpan Stale = TimeSpan.FromHours(1);

    // Events accepted at the last moment are committed by then.
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Whether the results are final: computed after the windows were closed and the period for late events was over, and for all metrics.
    /// </summary>
    public bool IsFinal(TimeSpan late) => AsOf > WindowsCloseAt + late + Margin && HasAllMetrics;

    /// <summary>Whether they are old, or would be others if they were computed again.</summary>
    public bool IsStale(TimeSpan late) =>
        AsOf is null || !HasAllMetrics || IsPlannedAnew || IsReadSince || Now - AsOf > Stale || CanBeFinal(late);

    /// <summary>Whether the warehouse of the experiment, if it has one, is to be read before they are shown.</summary>
    public bool IsDue(TimeSpan late) => Warehouse is not null && !IsFinal(late) && (IsToBeRead || IsStale(late));

    // Whether recomputing them would make them final.
    private bool CanBeFinal(TimeSpan late) => !IsFinal(late) && Now > WindowsCloseAt + late + Margin;
}
