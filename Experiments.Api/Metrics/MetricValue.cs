using Experiments.Api.Domain;

namespace Experiments.Api.Metrics;

/// <summary>What a metric is for one identity.</summary>
/// <param name="Y">The metric; of a ratio the numerator; 0 or 1 for what happens or does not.</param>
/// <param name="D">The denominator of a ratio, and for retention whether there was anything to come back to.</param>
/// <param name="X">The metric in the time before the first exposure.</param>
/// <param name="Steps">How many steps of a funnel were passed.</param>
internal readonly record struct MetricValue(double Y, double D, double X, int Steps)
{
    public bool IsNought => Y == 0 && D == 0 && X == 0 && Steps == 0;

    /// <summary>
    /// From the identity's events, in order of time. Those count that come from its first exposure on, within the conversion window
    /// where there is one, while the experiment runs.
    /// </summary>
    public static MetricValue Of(string aggregation, MetricDefinition definition, IReadOnlyList<MetricEvent> events, DateTime exposed, Timeline timeline)
    {
        var until = definition.ConversionWindowHours is { } hours ? exposed.AddHours(hours) : DateTime.MaxValue;
        var counted = events.Where(e => e.At >= exposed && e.At < until && timeline.RanAt(e.At)).ToList();
        var before = definition.LookbackDays is { } days
            ? Plain(aggregation, [.. events.Where(e => e.At < exposed && e.At >= exposed.AddDays(-days))])
            : 0;
        switch (aggregation)
        {
            case "ratio":
                return new(counted.Where(e => e.Slot == 0).Sum(e => e.Value), counted.Where(e => e.Slot == 1).Sum(e => e.Value), 0, 0);
            case "funnel":
                var steps = Passed(counted, definition.Steps!.Count, definition.WindowHours);
                return new(steps == definition.Steps.Count ? 1 : 0, 0, 0, steps);
            case "retention":
                var came = counted.Count > 0;
                var back = came && counted.Any(e => e.At >= counted[0].At.AddHours(definition.FromHours!.Value) && e.At < counted[0].At.AddHours(definition.ToHours!.Value) && e.At > counted[0].At);
                return new(back ? 1 : 0, came ? 1 : 0, 0, 0);
            default:
                return new(Plain(aggregation, counted), 0, before, 0);
        }
    }

    private static double Plain(string aggregation, List<MetricEvent> events) => aggregation switch
    {
        "occurrence" => events.Count > 0 ? 1 : 0,
        "count" => events.Count,
        "mean" => events.Count > 0 ? events.Sum(e => e.Value) / events.Count : 0,
        _ => events.Sum(e => e.Value),
    };

    // For every number of steps the latest start that has come as far; the latest leaves the most time for the next step. One event is
    // one step, even where the definition has it twice.
    private static int Passed(List<MetricEvent> events, int length, double? windowHours)
    {
        var reached = new (DateTime Start, MetricEvent Last)?[length + 1];
        foreach (var e in events)
        {
            if (e.Slot == 0)
            {
                reached[1] = (e.At, e);
            }
            else if (reached[e.Slot] is { } before
                && (windowHours is not { } hours || e.At <= before.Start.AddHours(hours))
                && (before.Last.At, before.Last.Key) != (e.At, e.Key)
                && (reached[e.Slot + 1] is not { } further || before.Start >= further.Start))
            {
                reached[e.Slot + 1] = (before.Start, e);
            }
        }

        return Array.FindLastIndex(reached, step => step is not null) is > 0 and var steps ? steps : 0;
    }
}

/// <summary>An event that a metric is about, as much of it as counts.</summary>
internal readonly record struct MetricEvent(DateTime At, long Key, int Slot, double Value) : IComparable<MetricEvent>
{
    /// <summary>By time, then in the order of the definition, then by key, so that the order is the same whenever they arrive.</summary>
    public int CompareTo(MetricEvent other) =>
        At != other.At ? At.CompareTo(other.At) : Slot != other.Slot ? Slot.CompareTo(other.Slot) : Key.CompareTo(other.Key);
}
