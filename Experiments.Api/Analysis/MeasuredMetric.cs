using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// A metric with the sums of its arms, by the index of the variant and without the number of identities, and for a funnel the number of
/// identities per step.
/// </summary>
internal sealed record MeasuredMetric(
    long Link,
    long Metric,
    string Name,
    MetricRole Role,
    ExpectedDirection ExpectedDirection,
    MetricAggregation Aggregation,
    MetricDefinition Definition,
    bool AddedAfterStart,
    IReadOnlyList<SufficientStatistics> Sums,
    IReadOnlyList<(int Arm, int Step, long Count)> Steps
)
{
    public MetricKind Kind => KindOf(Aggregation, Definition);

    public bool HigherIsBetter => IsHigherBetter(ExpectedDirection);

    public static MetricKind KindOf(MetricAggregation aggregation, MetricDefinition definition) =>
        aggregation switch
        {
            MetricAggregation.Occurrence or MetricAggregation.Funnel => MetricKind.Proportion,
            MetricAggregation.Ratio or MetricAggregation.Mean => MetricKind.Ratio,
            MetricAggregation.Retention => definition.StartsAtExposure ? MetricKind.Proportion : MetricKind.Ratio,
            _ => definition.AtLeast is null ? MetricKind.Mean : MetricKind.Proportion,
        };

    public static bool IsHigherBetter(ExpectedDirection expected) =>
        expected is ExpectedDirection.Increase or ExpectedDirection.NotDecrease;

    /// <summary>Whether the metric must not get worse, rather than improve.</summary>
    public bool IsGuardrail => IsGuard(Role, ExpectedDirection);

    public static bool IsGuard(MetricRole role, ExpectedDirection expected) =>
        role == MetricRole.Guardrail || expected is ExpectedDirection.NotIncrease or ExpectedDirection.NotDecrease;

    /// <summary>By which share of control's mean a metric that must not get worse may still be called safe.</summary>
    public double Margin { get; init; } = MetricRules.DefaultMargin;

    /// <summary>The margin, negative where lower is better.</summary>
    public double SignedMargin => HigherIsBetter ? Margin : -Margin;

    /// <summary>Whether the events from before it was attached are still being counted.</summary>
    public bool IsBackfilling { get; init; }

    /// <summary>Whether the metric could not be read, so that it cannot be evaluated.</summary>
    public bool Failed { get; init; }

    /// <summary>Where its values stand among the numbers of an identity.</summary>
    public MetricLayout Layout { get; init; } = MetricLayout.Of(Aggregation, Definition, 0);

    /// <summary>
    /// The identities that count, by the index of the variant, if they count only once their windows are over; null if all count.
    /// </summary>
    public IReadOnlyList<long>? Identities { get; init; }

    /// <summary>Up to when windows that are over have been taken into account.</summary>
    public DateTime? MaturedTo { get; init; }

    /// <summary>How many identities have started but wait for the end of their retention window, in all variants.</summary>
    public long Waiting { get; init; }

    /// <summary>How many identities count although their windows were cut short at the end.</summary>
    public long CutShort { get; init; }

    /// <summary>How many events have no number where there should be one.</summary>
    public long NotNumbers { get; init; }

    /// <summary>The events of its definition that the environment has never received.</summary>
    public IReadOnlyList<string> MissingEvents { get; init; } = [];

    /// <summary>Whether its direction or margin was corrected after the start.</summary>
    public bool CorrectedAfterStart { get; init; }

    /// <summary>The quantiles of each arm, by the index of the variant; null without.</summary>
    public IReadOnlyList<IReadOnlyList<QuantileView>>? Quantiles { get; init; }

    /// <summary>The limits to which values were clamped, or null.</summary>
    public WinsorizedView? Winsorized { get; init; }

    /// <summary>The same sums exactly, by the index of the variant; null where they are only known as floating-point numbers.</summary>
    public IReadOnlyList<ExactSums?> Exact { get; init; } = [];

    public SufficientStatistics Arm(int index, long n) =>
        Exact.ElementAtOrDefault(index) is { } exact ? Sums[index] with { N = n, Centred = exact.About(n) } : Sums[index] with { N = n };
}
