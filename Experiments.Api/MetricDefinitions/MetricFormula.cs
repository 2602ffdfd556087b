using System.Text.Json;
using Experiments.Api.Domain;

namespace Experiments.Api.MetricDefinitions;

/// <summary>Computes the value of a metric from the events of an identity.</summary>
internal sealed class MetricFormula
{
    private readonly MetricAggregation _aggregation;
    private readonly MetricDefinition _definition;
    private readonly bool[] _countsEvents;
    private readonly int _steps;
    private readonly IReadOnlyList<MetricSource> _sources;

    public MetricFormula(MetricAggregation aggregation, MetricDefinition definition)
    {
        (_aggregation, _definition, _sources, _steps) = (aggregation, definition, definition.Sources, definition.Steps?.Count ?? 0);
        // A ratio source without a property counts events.
        _countsEvents =
        [
            .. _sources.Select(source =>
                aggregation is not (MetricAggregation.Sum or MetricAggregation.Mean)
                && !(aggregation == MetricAggregation.Ratio && source.Property is not null)
            ),
        ];
    }

    /// <summary>
    /// What an event contributes to the metric: one entry for each slot of the definition that it matches, with its number if it has one.
    /// </summary>
    public IEnumerable<MetricEvent> Take(string name, DateTime at, long key, string? value, JsonElement? metadata)
    {
        for (var slot = 0; slot < _sources.Count; slot++)
        {
            if (_sources[slot].Event == name && _sources[slot].Passes(value, metadata))
            {
                yield return new(at, key, slot, _sources[slot].NumberOf(value, metadata) ?? double.NaN);
            }
        }
    }

    /// <summary>
    /// Computes the value from the identity's events, in order. An event counts if it happened from the first exposure on, within the
    /// conversion window if there is one, while the experiment was running. An event without its required number does not count.
    /// </summary>
    public MetricValue Value(ReadOnlySpan<MetricEvent> events, DateTime exposed, Timeline timeline)
    {
        var first = 0;
        while (first < events.Length && events[first].At < exposed)
        {
            first++;
        }

        var after = new Window(
            this,
            events[first..],
            exposed,
            _definition.ConversionWindowHours is { } hours ? exposed.AddHours(hours) : DateTime.MaxValue,
            timeline
        );
        return _aggregation switch
        {
            MetricAggregation.Ratio => new(after.Total(0).Sum, after.Total(1).Sum, 0, 0),
            MetricAggregation.Funnel => Funnel(after),
            MetricAggregation.Retention => Retention(after),
            _ => new(
                Plain(after),
                0,
                _definition.LookbackDays is { } days ? Plain(new(this, events[..first], exposed.AddDays(-days), exposed, null)) : 0,
                0
            ),
        };
    }

    private double Plain(Window window)
    {
        var (count, sum) = window.Total(0);
        return _aggregation switch
        {
            MetricAggregation.Occurrence => count > 0 ? 1 : 0,
            MetricAggregation.Mean => count > 0 ? sum / count : 0,
            _ => sum,
        };
    }

    private MetricValue Retention(Window window)
    {
        DateTime? came = null;
        foreach (ref readonly var e in window.Events)
        {
            if (!window.Counts(e))
            {
                continue;
            }

            if (came is not { } start)
            {
                came = e.At;
            }
            else if (
                e.At > start
                && e.At >= start.AddHours(_definition.FromHours!.Value)
                && e.At < start.AddHours(_definition.ToHours!.Value)
            )
            {
                return new(1, 1, 0, 0);
            }
        }

        return new(0, came is null ? 0 : 1, 0, 0);
    }

    // For each number of completed steps, the latest start that got that far; the latest leaves the most time for the next step. Events
    // of the same instant have no order, but each completes at most one step, even if the definition lists it twice.
    private MetricValue Funnel(Window window)
    {
        var reached = new DateTime?[_steps + 1];
        var instant = new List<MetricEvent>();
        foreach (ref readonly var e in window.Events)
        {
            if (!window.Counts(e))
            {
                continue;
            }

            if (instant.Count > 0 && instant[0].At != e.At)
            {
                Pass(instant, reached);
                instant.Clear();
            }

            instant.Add(e);
        }

        Pass(instant, reached);
        var steps = Math.Max(0, Array.FindLastIndex(reached, start => start is not null));
        return new(steps == _steps ? 1 : 0, 0, 0, steps);
    }

    private void Pass(List<MetricEvent> instant, DateTime?[] reached)
    {
        // From the last step backwards, so that nothing builds on progress made at this same instant.
        for (var passed = instant.Count == 0 ? -1 : _steps - 1; passed >= 0; passed--)
        {
            if (
                !instant.Exists(e => e.Slot == passed)
                || (passed == 0 ? instant[0].At : reached[passed]) is not { } start
                || (_definition.WindowHours is { } hours && instant[0].At > start.AddHours(hours))
            )
            {
                continue;
            }

            // Most instants have one event.
            var further = instant.Count == 1 ? 1 : Further(instant, passed);
            for (var step = passed + 1; step <= passed + further; step++)
            {
                reached[step] = reached[step] is { } other && other > start ? other : start;
            }
        }
    }

    // How many consecutive steps, starting with this one, the events of an instant can complete, one event per step: a maximum matching
    // of steps to events, extended step by step with augmenting paths (H. W. Kuhn, 1955).
    private int Further(List<MetricEvent> instant, int first)
    {
        var stepOf = new Dictionary<long, int>();
        var step = first;
        while (step < _steps && Find(step, []))
        {
            step++;
        }

        return step - first;

        bool Find(int wanted, HashSet<long> tried)
        {
            foreach (var e in instant)
            {
                if (e.Slot == wanted && tried.Add(e.Key) && (!stepOf.TryGetValue(e.Key, out var taken) || Find(taken, tried)))
                {
                    stepOf[e.Key] = wanted;
                    return true;
                }
            }

            return false;
        }
    }

    // The events from one instant until before another; while the experiment ran, where that is asked.
    private readonly ref struct Window(
        MetricFormula formula,
        ReadOnlySpan<MetricEvent> events,
        DateTime from,
        DateTime until,
        Timeline? timeline
    )
    {
        public ReadOnlySpan<MetricEvent> Events { get; } = events;

        public bool Counts(in MetricEvent e) => e.At >= from && e.At < until && timeline?.RanAt(e.At) != false && !double.IsNaN(Number(e));

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

        private double Number(in MetricEvent e) => formula._countsEvents[e.Slot] ? 1 : e.Value;
    }
}
