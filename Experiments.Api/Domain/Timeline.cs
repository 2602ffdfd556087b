namespace Experiments.Api.Domain;

/// <summary>
/// When an experiment ran, when it was paused, and which rollout was in force. Event timestamps have millisecond precision, so an
/// experiment counts as running in any millisecond in which it ran at least partly.
/// </summary>
/// <param name="Runs">The stretches in which it ran, in order, each from its start to its end; null while it is going on.</param>
/// <param name="FormerRollouts">What the rollout was, in percent, and until when, oldest first.</param>
/// <param name="Rollout">What it is now.</param>
/// <param name="EndedAt">When it was completed.</param>
internal sealed record Timeline(
    IReadOnlyList<(DateTime From, DateTime? Until)> Runs,
    IReadOnlyList<(decimal Percentage, DateTime Until)> FormerRollouts,
    decimal Rollout,
    DateTime? EndedAt
)
{
    /// <summary>How far a client's clock may be behind for its exposures to be reported.</summary>
    public static readonly TimeSpan Slow = TimeSpan.FromHours(24);

    private static readonly TimeSpan Precision = TimeSpan.FromMilliseconds(1);

    public bool RanAt(DateTime at)
    {
        // Asked of every event, so without anything to allocate.
        for (var index = 0; index < Runs.Count; index++)
        {
            var (from, until) = Runs[index];
            if (at + Precision > from && (until is null || at < until))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether the experiment had started then, was not over, and did not run.</summary>
    public bool WasPausedAt(DateTime at) =>
        Runs.Count > 0 && at + Precision > Runs[0].From && (EndedAt is null || at < EndedAt) && !RanAt(at);

    /// <summary>
    /// Whether an event precedes the start by no more than a slow clock explains, although it was received after the start.
    /// </summary>
    public bool IsJustBefore(DateTime at, DateTime receivedAt) =>
        Runs.Count > 0 && at + Precision <= Runs[0].From && at >= Runs[0].From - Slow && receivedAt + Precision > Runs[0].From;

    /// <summary>The rollout, in percent, that was in force.</summary>
    public decimal RolloutAt(DateTime at)
    {
        foreach (var former in FormerRollouts)
        {
            if (at < former.Until)
            {
                return former.Percentage;
            }
        }

        return Rollout;
    }
}
