using System.Text.Json;
using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>All inputs of the results, as they were in the database at one moment.</summary>
internal sealed record ResultsInput(
    IReadOnlyList<(string Key, decimal Weight)> Variants,
    IReadOnlyDictionary<string, long> Outcomes,
    IReadOnlyList<MeasuredMetric> Metrics,
    DateTime? StartedAt,
    DateTime? EndedAt,
    DateTime AsOf,
    long EventsNotCounted,
    long? Needed = null,
    double Days = 0
)
{
    /// <summary>Its progress, if it has a plan.</summary>
    public ProgressView? Progress =>
        Needed is not { } needed ? null
        : Identities.Sum() is var identities && identities >= needed ? new(identities, needed, 1, 0, PowerAt(identities))
        : new(
            identities,
            needed,
            (double)identities / needed,
            identities > 0 && Days > 0 && EndedAt is null ? (needed - identities) / (identities / Days) : null,
            PowerAt(identities)
        );

    /// <summary>The relative effect that the plan is for, and its error rate.</summary>
    public (double Effect, double Alpha)? Planned { get; init; }

    // By control as it is now.
    private double? PowerAt(long identities) =>
        Planned is { } planned && Metrics.FirstOrDefault(metric => metric.Role == MetricRole.Primary) is { Failed: false } primary
            ? PlanDesign
                .Of(
                    new(primary.Aggregation, primary.Role, primary.ExpectedDirection, primary.Margin),
                    primary.Arm(0, Identities[0]),
                    [.. Variants.Select(variant => variant.Weight)],
                    planned.Alpha
                )
                ?.At(identities, planned.Effect)
            : null;

    /// <summary>What earlier looks have found.</summary>
    public Evidence? Evidence { get; init; }

    /// <summary>The number of events of the environment that have been counted.</summary>
    public long EventsCounted { get; init; }

    /// <summary>Since when its exposures have not been counted because its definition cannot be read, or null.</summary>
    public DateTime? UnreadableSince { get; init; }

    /// <summary>Warnings about how the experiment was run.</summary>
    public IReadOnlyList<ResultsWarning> Warnings { get; init; } = [];

    /// <summary>The number of identities that the experiment's holdout keeps out.</summary>
    public long HeldOut => Outcomes.GetValueOrDefault(ExposureState.InHoldout);

    public IReadOnlyList<long> Identities =>
        [.. Variants.Select(variant => Outcomes.GetValueOrDefault(ExposureState.InVariant + variant.Key))];

    /// <param name="row">The row from the database.</param>
    /// <param name="failed">Called with the link id of each metric that cannot be read.</param>
    public static ResultsInput Of(Row row, Action<long, Exception> failed)
    {
        var variants = StoredJson.Variants(row.Variants).Select(variant => (variant.Key, variant.Weight)).ToList();
        return new(
            variants,
            StoredJson.Parse(row.Outcomes)!.AsObject().ToDictionary(outcome => outcome.Key, outcome => outcome.Value!.GetValue<long>()),
            [.. StoredJson.Parse(row.Metrics)!.AsArray().Select(metric => Measured(metric!, variants.Count, failed))],
            row.StartedAt,
            row.EndedAt,
            row.AsOf,
            row.EventsNotCounted,
            row.Needed,
            row.Days
        )
        {
            UnreadableSince = row.UnreadableSince,
            Evidence = StoredJson.TryRead<Evidence>(row.Evidence),
            EventsCounted = row.EventsCounted,
            Planned = row is { PlannedEffect: { } effect, PlannedAlpha: { } alpha } ? (effect, alpha) : null,
        };
    }

    private static MeasuredMetric Measured(JsonNode metric, int arms, Action<long, Exception> failed)
    {
        var (sums, exact) = (new SufficientStatistics[arms], new ExactSums?[arms]);
        // Held-out identities belong to no arm.
        foreach (var arm in metric["sums"]!.AsArray().Where(arm => arm!["arm"]!.GetValue<int>() >= 0))
        {
            sums[arm!["arm"]!.GetValue<int>()] = SumsOf(arm);
            exact[arm["arm"]!.GetValue<int>()] = new(arm);
        }

        var link = metric["link"]!.GetValue<long>();
        MetricDefinition? definition = null;
        try
        {
            definition = MetricRules.Read(metric["definition"]?.ToJsonString() ?? "null");
        }
        catch (JsonException exception)
        {
            failed(link, exception);
        }

        return new(
            link,
            metric["index"]!.GetValue<int>(),
            metric["metric"]!.GetValue<long>(),
            metric["name"]!.GetValue<string>(),
            Words.Parse<MetricRole>(metric["role"]!.GetValue<string>()),
            Words.Parse<ExpectedDirection>(metric["expected_direction"]!.GetValue<string>()),
            Words.Parse<MetricAggregation>(metric["aggregation"]!.GetValue<string>()),
            definition ?? new(),
            metric["added_after_start"]!.GetValue<bool>(),
            sums,
            [.. metric["steps"]!.AsArray().Select(step => (step![0]!.GetValue<int>(), step[1]!.GetValue<int>(), step[2]!.GetValue<long>()))]
        )
        {
            Exact = exact,
            IsBackfilling = !metric["backfilled"]!.GetValue<bool>(),
            Margin = metric["margin"]!.GetValue<double>(),
            // A metric whose sums overflow a number cannot be evaluated.
            Failed = definition is null || metric["is_unreadable"]!.GetValue<bool>() || !sums.All(arm => arm.AreFinite),
        };
    }

    private static SufficientStatistics SumsOf(JsonNode arm)
    {
        return new(
            N: 0,
            Sum: Value("y"),
            SumSquares: Value("yy"),
            DenominatorSum: Value("d"),
            DenominatorSumSquares: Value("dd"),
            CrossSum: Value("yd"),
            CovariateSum: Value("x"),
            CovariateSumSquares: Value("xx"),
            CovariateCrossSum: Value("yx"),
            NonZero: Value("y_non_zero"),
            DenominatorNonZero: Value("d_non_zero")
        );

        double Value(string sum) => arm[sum]!.GetValue<double>();
    }

    internal sealed record Row(
        string Variants,
        string Outcomes,
        string Metrics,
        DateTime? StartedAt,
        DateTime? EndedAt,
        DateTime AsOf,
        long EventsNotCounted,
        long EventsCounted,
        string? Evidence,
        DateTime? UnreadableSince,
        long? Needed,
        double? PlannedEffect,
        double? PlannedAlpha,
        double Days,
        decimal? LoweredTo
    );
}

/// <summary>
/// A metric with the sums of its arms, by the index of the variant and without the number of identities, and for a funnel the number of
/// identities per step.
/// </summary>
internal sealed record MeasuredMetric(
    long Link,
    int Index,
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
    public MetricKind Kind => KindOf(Aggregation);

    public bool HigherIsBetter => IsHigherBetter(ExpectedDirection);

    public static MetricKind KindOf(MetricAggregation aggregation) =>
        aggregation switch
        {
            MetricAggregation.Occurrence or MetricAggregation.Funnel => MetricKind.Proportion,
            MetricAggregation.Ratio or MetricAggregation.Retention => MetricKind.Ratio,
            _ => MetricKind.Mean,
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

    /// <summary>The same sums exactly, by the index of the variant; null where they are only known as floating-point numbers.</summary>
    public IReadOnlyList<ExactSums?> Exact { get; init; } = [];

    public SufficientStatistics Arm(int index, long n) =>
        Exact.ElementAtOrDefault(index) is { } exact ? Sums[index] with { N = n, Centred = exact.About(n) } : Sums[index] with { N = n };
}
