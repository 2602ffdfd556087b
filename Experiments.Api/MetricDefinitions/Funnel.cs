using Experiments.Api.Domain;

namespace Experiments.Api.MetricDefinitions;

/// <summary>How many steps of a funnel an identity has completed within the funnel's window.</summary>
/// <remarks>
/// Events of the same instant have no order, but each completes at most one step, even if the definition lists it twice. An exclusion
/// breaks everything that was begun before it.
/// </remarks>
internal sealed class Funnel(int steps, bool isInOrder, TimeSpan? window)
{
    /// <summary>The largest number of steps completed.</summary>
    public int Completed(EventWindow events, Timeline? timeline) =>
        isInOrder ? CompletedInOrder(events, timeline) : CompletedInAnyOrder(events, timeline);

    // For each number of completed steps, the latest start that got that far; the latest leaves the most time for the next step.
    private int CompletedInOrder(EventWindow events, Timeline? timeline)
    {
        var (reached, instant, most) = (new DateTime?[steps + 1], new List<MetricEvent>(), 0);
        foreach (ref readonly var e in events.Events)
        {
            if (!events.Counts(e))
            {
                continue;
            }

            if (instant.Count > 0 && instant[0].At != e.At)
            {
                Pass();
            }

            instant.Add(e);
        }

        Pass();
        return most;

        void Pass()
        {
            Advance(instant, reached, timeline);
            most = Math.Max(most, Math.Max(0, Array.FindLastIndex(reached, start => start is not null)));
            if (instant.Exists(e => e.Slot >= steps))
            {
                var at = instant[0].At;
                for (var step = 0; step < reached.Length; step++)
                {
                    reached[step] = reached[step] < at ? null : reached[step];
                }
            }

            instant.Clear();
        }
    }

    private void Advance(List<MetricEvent> instant, DateTime?[] reached, Timeline? timeline)
    {
        // From the last step backwards, so that nothing builds on progress made at this same instant.
        for (var passed = instant.Count == 0 ? -1 : steps - 1; passed >= 0; passed--)
        {
            if (
                !instant.Exists(e => e.Slot == passed)
                || (passed == 0 ? instant[0].At : reached[passed]) is not { } start
                || !IsWithin(start, instant[0].At, timeline)
            )
            {
                continue;
            }

            // Most instants have one event.
            var further = instant.Count == 1 ? 1 : Matched(instant, passed, stopsAtFirstGap: true);
            for (var step = passed + 1; step <= passed + further; step++)
            {
                reached[step] = reached[step] is { } other && other > start ? other : start;
            }
        }
    }

    // The window slides over the events: from each, all that follow within it and before an exclusion.
    private int CompletedInAnyOrder(EventWindow events, Timeline? timeline)
    {
        var counted = new List<MetricEvent>();
        foreach (ref readonly var e in events.Events)
        {
            if (events.Counts(e))
            {
                counted.Add(e);
            }
        }

        // From each start: up to the end of its window, and before the first later exclusion. All three only move forward.
        var (most, end, exclusion) = (0, 0, 0);
        var perSlot = new int[steps];
        var different = 0;
        for (var first = 0; first < counted.Count && most < steps; first++)
        {
            exclusion = Math.Max(exclusion, first);
            while (exclusion < counted.Count && (counted[exclusion].Slot < steps || counted[exclusion].At <= counted[first].At))
            {
                exclusion++;
            }

            while (end < exclusion && IsWithin(counted[first].At, counted[end].At, timeline))
            {
                different += counted[end].Slot < steps && ++perSlot[counted[end].Slot] == 1 ? 1 : 0;
                end++;
            }

            // One event may be several steps, so that they are matched; only where that can be more than before.
            if (different > most)
            {
                var among = counted[first..end];
                among.RemoveAll(e => e.Slot >= steps);
                most = Math.Max(most, Matched(among, 0, stopsAtFirstGap: false));
            }

            if (first < end)
            {
                different -= counted[first].Slot < steps && --perSlot[counted[first].Slot] == 0 ? 1 : 0;
            }
            else
            {
                end = first + 1;
            }
        }

        return most;
    }

    private bool IsWithin(DateTime start, DateTime at, Timeline? timeline) =>
        window is not { } length || (timeline?.RunningBetween(start, at) ?? at - start) < length;

    // How many steps the events can complete, one event per step: a maximum matching of steps to events, extended step by step with
    // augmenting paths (H. W. Kuhn, 1955).
    private int Matched(List<MetricEvent> events, int first, bool stopsAtFirstGap)
    {
        var (stepOf, matched) = (new Dictionary<(DateTime, long), int>(), 0);
        for (var step = first; step < steps; step++)
        {
            if (Find(step, []))
            {
                matched++;
            }
            else if (stopsAtFirstGap)
            {
                break;
            }
        }

        return matched;

        bool Find(int wanted, HashSet<(DateTime, long)> tried)
        {
            foreach (var e in events)
            {
                var key = (e.At, e.Key);
                if (e.Slot == wanted && tried.Add(key) && (!stepOf.TryGetValue(key, out var taken) || Find(taken, tried)))
                {
                    stepOf[key] = wanted;
                    return true;
                }
            }

            return false;
        }
    }
}
