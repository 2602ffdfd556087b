using System.Text.Json;
using Experiments.Api.Domain;

namespace Experiments.Api.MetricDefinitions;

/// <summary>Computes the value of a metric from the events of an identity.</summary>
internal sealed class MetricFormula
{
    private readonly MetricAggregation _aggregation;
    private readonly MetricDefinition _definition;
    private readonly bool[] _isNumeric;
    private readonly IReadOnlyList<MetricSource> _sources;
    private readonly Funnel? _funnel;
    private readonly TimeSpan? _window;
    private readonly TimeSpan? _to;
    private readonly bool _runsOn;

    public MetricFormula(MetricAggregation aggregation, MetricDefinition definition)
    {
        (_aggregation, _definition, _sources) = (aggregation, definition, definition.Sources);
        _isNumeric = [.. Numeric(aggregation, definition)];
        _funnel = definition.Steps is { } steps
            ? new(steps.Count, definition.Order != MetricDefinition.AnyOrder, MetricDefinition.Hours(definition.WindowHours))
            : null;
        _window = MetricDefinition.Hours(definition.ConversionWindowHours);
        _to = MetricDefinition.Hours(definition.ToHours);
        _runsOn = definition.RunsOn > TimeSpan.Zero;
    }

    /// <summary>Whether an event needs a number to count, by slot. A ratio's source without a property counts events.</summary>
    public static IEnumerable<bool> Numeric(MetricAggregation aggregation, MetricDefinition definition) =>
        definition.Sources.Select(source =>
            aggregation is MetricAggregation.Sum or MetricAggregation.Mean or MetricAggregation.Max or MetricAggregation.Min
            || (aggregation == MetricAggregation.Ratio && source.Property is not null)
        );

    /// <summary>
    /// What an event contributes to the metric: one entry for each slot of the definition that it matches, with its number if it has one.
    /// </summary>
    public IEnumerable<MetricEvent> Take(string name, DateTime at, long key, string? value, JsonElement? metadata)
    {
        for (var slot = 0; slot < _sources.Count; slot++)
        {
            var source = _sources[slot];
            if (source.Event == name && source.Passes(value, metadata))
            {
                var number =
                    _aggregation == MetricAggregation.CountDistinct ? source.DistinctOf(value, metadata) : source.NumberOf(value, metadata);
                yield return new(at, key, slot, number ?? double.NaN);
            }
        }
    }

    /// <summary>
    /// Computes the value from the identity's events, in order. An event counts if it happened from the first exposure on, within the
    /// conversion window if there is one, while the experiment was running or, within a window that runs on, after its end. An event
    /// without its required number does not count.
    /// </summary>
    /// <param name="events">The events.</param>
    /// <param name="exposed">The first exposure.</param>
    /// <param name="timeline">When the experiment ran.</param>
    /// <param name="now">Up to when events are known, for windows that must be over; null if identities count at once.</param>
    public MetricValue Value(ReadOnlySpan<MetricEvent> events, DateTime exposed, Timeline timeline, DateTime? now = null)
    {
        if (IsOpen(exposed, timeline, now))
        {
            return default;
        }

        var first = FirstSince(events, exposed);
        var after = Since(exposed, events[first..], timeline);
        var before = _definition.LookbackDays is { } days
            ? Plain(new(events[..first], _isNumeric, exposed.AddDays(-days), null, null, false), null)
            : default;
        return _aggregation == MetricAggregation.Retention
            ? Retention(events[first..], after, exposed, timeline, now)
            : Plain(after, timeline) with
            {
                X = before.Y,
                W = before.D,
            };
    }

    /// <summary>
    /// After how much running time of the experiment the value may change by the passing of time alone, for the first time after
    /// <paramref name="now"/>; null if it never does. It does not depend on when that is computed, and pauses do not move it.
    /// </summary>
    /// <param name="events">The events.</param>
    /// <param name="exposed">The first exposure.</param>
    /// <param name="timeline">When the experiment ran.</param>
    /// <param name="now">Up to when windows that are over have been taken into account, or null before the first time.</param>
    public TimeSpan? DueAfter(ReadOnlySpan<MetricEvent> events, DateTime exposed, Timeline timeline, DateTime? now)
    {
        // Without events the value is 0 before and after.
        if (events.Length == 0 || timeline.WindowsCloseAt <= now)
        {
            return null;
        }

        var (start, window) =
            _definition.Window is { } whole ? (exposed, whole)
            : _aggregation == MetricAggregation.Retention && _definition.Maturity != MetricDefinition.AllIdentities
                ? (Start(events, exposed, timeline), _to!.Value)
            : ((DateTime?)null, TimeSpan.Zero);
        return start is { } from && timeline.RunningAt(from) + window is var due && !(now is { } known && due <= timeline.RunningAt(known))
            ? due
            : null;
    }

    // Whether the identity does not count yet, because its window is not over.
    private bool IsOpen(DateTime exposed, Timeline timeline, DateTime? now) =>
        now is { } known && _definition.Window is { } window && !IsOver(exposed, window, timeline, known);

    private static bool IsOver(DateTime from, TimeSpan window, Timeline timeline, DateTime now) =>
        timeline.WindowsCloseAt <= now || timeline.RunningBetween(from, now) >= window;

    private MetricValue Plain(EventWindow window, Timeline? timeline)
    {
        if (_funnel is { } funnel)
        {
            var steps = funnel.Completed(window, timeline);
            return new(steps == _definition.Steps!.Count ? 1 : 0, 0, 0, steps);
        }

        var (count, sum) = window.Total(0);
        var y = _aggregation switch
        {
            MetricAggregation.Occurrence => count > 0 ? 1 : 0,
            MetricAggregation.Max or MetricAggregation.Min => Extreme(window),
            MetricAggregation.CountDistinct => Distinct(window),
            _ => sum,
        };
        return new(
            _definition.AtLeast is { } threshold ? (count > 0 && y >= threshold ? 1 : 0) : y,
            _aggregation switch
            {
                MetricAggregation.Mean => count,
                MetricAggregation.Ratio => window.Total(1).Sum,
                _ => 0,
            },
            0,
            0,
            NotNumbers(window)
        );
    }

    private double Extreme(EventWindow window)
    {
        double? extreme = null;
        foreach (ref readonly var e in window.Events)
        {
            if (window.Counts(e))
            {
                extreme =
                    extreme is not { } other ? e.Value
                    : _aggregation == MetricAggregation.Max ? Math.Max(other, e.Value)
                    : Math.Min(other, e.Value);
            }
        }

        return extreme ?? 0;
    }

    private static int Distinct(EventWindow window)
    {
        var values = new HashSet<double>();
        foreach (ref readonly var e in window.Events)
        {
            if (window.Counts(e) && !double.IsNaN(e.Value))
            {
                values.Add(e.Value);
            }
        }

        return values.Count;
    }

    private static int NotNumbers(EventWindow window)
    {
        var count = 0;
        foreach (ref readonly var e in window.Events)
        {
            count += window.LacksNumber(e) ? 1 : 0;
        }

        return count;
    }

    // The conversion window limits the start and not the return.
    private MetricValue Retention(ReadOnlySpan<MetricEvent> events, EventWindow starts, DateTime exposed, Timeline timeline, DateTime? now)
    {
        if ((_definition.StartsAtExposure ? exposed : FirstOf(starts)) is not { } start)
        {
            return default;
        }

        var isOpen = now is { } known && !IsOver(start, _to!.Value, timeline, known);
        if (!_definition.StartsAtExposure && isOpen && _definition.Maturity != MetricDefinition.AllIdentities)
        {
            return new(0, 0, 0, 0, 0, Waiting: 1);
        }

        // Of windows that were cut short, those not yet due are left out.
        var isCutShort =
            _definition.Maturity != MetricDefinition.AllIdentities
            && timeline.WindowsCloseAt is { } closed
            && closed <= now
            && timeline.RunningBetween(start, closed) < _to;
        if (isCutShort)
        {
            return default;
        }

        var (from, to) = (MetricDefinition.Hours(_definition.FromHours)!.Value, _to!.Value);
        var returns = new EventWindow(events, _isNumeric, start, to, timeline, _runsOn);
        var slot = _definition.ReturnEvent is null ? 0 : 1;
        var retained = 0;
        foreach (ref readonly var e in returns.Events)
        {
            if (
                e.Slot == slot
                && returns.Counts(e)
                && (e.At > start || _definition.StartsAtExposure)
                && timeline.RunningBetween(start, e.At) >= from
            )
            {
                retained = 1;
                break;
            }
        }

        return new(retained, _definition.StartsAtExposure ? 0 : 1, 0, 0);
    }

    private DateTime? Start(ReadOnlySpan<MetricEvent> events, DateTime exposed, Timeline timeline) =>
        FirstOf(Since(exposed, events[FirstSince(events, exposed)..], timeline));

    // The events that count from the exposure on, within the conversion window if there is one.
    private EventWindow Since(DateTime exposed, ReadOnlySpan<MetricEvent> events, Timeline timeline) =>
        new(events, _isNumeric, exposed, _window, timeline, _runsOn && _window is not null);

    private static int FirstSince(ReadOnlySpan<MetricEvent> events, DateTime exposed)
    {
        var first = 0;
        while (first < events.Length && events[first].At < exposed)
        {
            first++;
        }

        return first;
    }

    private static DateTime? FirstOf(EventWindow window)
    {
        foreach (ref readonly var e in window.Events)
        {
            if (e.Slot == 0 && window.Counts(e))
            {
                return e.At;
            }
        }

        return null;
    }
}
