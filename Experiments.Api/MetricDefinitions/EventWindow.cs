using Experiments.Api.Domain;

namespace Experiments.Api.MetricDefinitions;

/// <summary>
/// The events of an identity that count for a metric: from one instant on, until before a length of time has run, while the experiment ran
/// or, for windows that run on, after its end. Windows are half-open: an event at the last instant is outside.
/// </summary>
/// <param name="events">The events, in order.</param>
/// <param name="isNumeric">Whether an event needs a number, by slot.</param>
/// <param name="from">The first instant.</param>
/// <param name="length">For how long, or null for no limit.</param>
/// <param name="timeline">When the experiment ran, or null for events from before it.</param>
/// <param name="runsOn">Whether events after the end count until windows are closed.</param>
internal readonly ref struct EventWindow(
    ReadOnlySpan<MetricEvent> events,
    bool[] isNumeric,
    DateTime from,
    TimeSpan? length,
    Timeline? timeline,
    bool runsOn
)
{
    public ReadOnlySpan<MetricEvent> Events { get; } = events;

    /// <summary>Whether an event counts.</summary>
    public bool Counts(in MetricEvent e) => Includes(e) && !IsNotNumber(e);

    /// <summary>Whether an event would count but for its number, which is missing.</summary>
    public bool LacksNumber(in MetricEvent e) => Includes(e) && IsNotNumber(e);

    /// <summary>The number of an event; 1 if only its occurrence counts.</summary>
    public double Number(in MetricEvent e) => isNumeric[e.Slot] ? e.Value : 1;

    /// <summary>The number and the sum of the events of a slot.</summary>
    public (int Count, double Sum) Total(int slot)
    {
        var (count, sum) = (0, 0.0);
        foreach (ref readonly var e in Events)
        {
            if (e.Slot == slot && Counts(e))
            {
                (count, sum) = (count + 1, sum + Number(e));
            }
        }

        return (count, sum);
    }

    private bool IsNotNumber(in MetricEvent e) => double.IsNaN(Number(e));

    private bool Includes(in MetricEvent e) =>
        e.At >= from
        && (timeline is null || (runsOn ? timeline.RanOrRunsOnAt(e.At) : timeline.RanAt(e.At)))
        && (length is not { } limit || (timeline?.RunningBetween(from, e.At) ?? e.At - from) < limit);
}
