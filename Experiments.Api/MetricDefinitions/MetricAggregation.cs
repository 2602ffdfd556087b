namespace Experiments.Api.MetricDefinitions;

/// <summary>How the value of an identity follows from its events.</summary>
internal enum MetricAggregation
{
    /// <summary>Whether there is such an event.</summary>
    Occurrence,

    /// <summary>How many there are.</summary>
    Count,

    /// <summary>How many different values a property of theirs has.</summary>
    CountDistinct,

    /// <summary>The sum of their numbers.</summary>
    Sum,

    /// <summary>The largest of their numbers; 0 without any.</summary>
    Max,

    /// <summary>The smallest of their numbers; 0 without any.</summary>
    Min,

    /// <summary>The mean over events: a ratio of the sum of their numbers to their count.</summary>
    Mean,

    /// <summary>A ratio of two sums or counts.</summary>
    Ratio,

    /// <summary>Whether all steps were completed.</summary>
    Funnel,

    /// <summary>Whether an identity that had the first event came back between two delays.</summary>
    Retention,
}
