namespace Experiments.Api.MetricDefinitions;

/// <summary>An event that a metric uses, reduced to the fields that matter.</summary>
/// <param name="At">When it happened.</param>
/// <param name="Key">The key that distinguishes it from other events of the same instant.</param>
/// <param name="Slot">Which of the events of the definition it is: 0 the only one or the numerator, 1 the denominator; of a funnel the
/// step.</param>
/// <param name="Value">Its number, or NaN where it has none.</param>
internal readonly record struct MetricEvent(DateTime At, long Key, int Slot, double Value) : IComparable<MetricEvent>
{
    /// <summary>By time, then in the order of the definition, then by key, so that the order is the same whenever they arrive.</summary>
    public int CompareTo(MetricEvent other) =>
        At != other.At ? At.CompareTo(other.At)
        : Slot != other.Slot ? Slot.CompareTo(other.Slot)
        : Key.CompareTo(other.Key);
}
