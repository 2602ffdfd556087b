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

    /// <summary>
    /// When the windows of identities are closed: after the end, windows that are open run on until then. Null while it has not ended.
    /// </summary>
    public DateTime? WindowsCloseAt { get; init; } = EndedAt;

    /// <summary>
    /// Whether an event counts for a metric whose windows run on after the end: in a millisecond in which the experiment ran, or later,
    /// until the windows are closed.
    /// </summary>
    public bool RanOrRunsOnAt(DateTime at) => RanAt(at) || (EndedAt <= at && at < WindowsCloseAt);

    /// <summary>
    /// For how long a window has run between two instants. Pauses do not run a window; after the end it runs on until all are closed.
    /// </summary>
    public TimeSpan RunningBetween(DateTime from, DateTime until)
    {
        var running = TimeSpan.Zero;
        for (var index = 0; index < Runs.Count; index++)
        {
            running += Overlap(from, until, Runs[index].From, Runs[index].Until ?? until);
        }

        return EndedAt is { } ended ? running + Overlap(from, until, ended, WindowsCloseAt ?? ended) : running;
    }

    /// <summary>For how long the experiment, and windows after its end, had run by then since the first start.</summary>
    public TimeSpan RunningAt(DateTime at) => RunningBetween(Runs[0].From, at);

    /// <summary>
    /// The first instant at which the experiment, and windows after its end, have run for so long; null if they have not.
    /// </summary>
    public DateTime? At(TimeSpan running)
    {
        var rest = running;
        foreach (var (from, until) in Stretches)
        {
            if (until is null || until - from >= rest)
            {
                return from + rest;
            }

            rest -= until.Value - from;
        }

        return null;
    }

    /// <summary>The latest instant since which a window of this length has run by then, or null if none has.</summary>
    /// <param name="window">The length of the window.</param>
    /// <param name="by">The instant by which it is over.</param>
    /// <param name="closes">Whether windows that were cut short when they were closed are over too.</param>
    public DateTime? LatestOver(TimeSpan window, DateTime by, bool closes)
    {
        if (closes && WindowsCloseAt <= by)
        {
            return by;
        }

        // Backwards, through what runs on after the end and through each run.
        var rest = window;
        foreach (var (from, until) in Stretches.Reverse())
        {
            var last = until is { } end && end < by ? end : by;
            if (last > from && last - from >= rest)
            {
                return last - rest;
            }

            rest -= last > from ? last - from : TimeSpan.Zero;
        }

        return null;
    }

    // The runs, and what runs on after the end.
    private IEnumerable<(DateTime From, DateTime? Until)> Stretches => EndedAt is { } ended ? Runs.Append((ended, WindowsCloseAt)) : Runs;

    private static TimeSpan Overlap(DateTime from, DateTime until, DateTime begins, DateTime ends)
    {
        var (first, last) = (from > begins ? from : begins, until < ends ? until : ends);
        return last > first ? last - first : TimeSpan.Zero;
    }

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
