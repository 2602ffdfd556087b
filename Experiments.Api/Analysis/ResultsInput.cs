using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;

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
        : IdentitiesOf(Primary).Sum() is var identities && identities >= needed ? new(identities, needed, 1, 0, Power)
        : new(
            identities,
            needed,
            (double)identities / needed,
            identities > 0 && Days > 0 && EndedAt is null ? (needed - identities) / (identities / Days) : null,
            Power
        );

    /// <summary>Those who count for a metric: all, or those whose windows are over.</summary>
    public IReadOnlyList<long> IdentitiesOf(MeasuredMetric? metric) => metric?.Identities ?? Identities;

    private MeasuredMetric? Primary => Metrics.FirstOrDefault(metric => metric.Role == MetricRole.Primary);

    /// <summary>The relative effect that the plan is for, and its error rate.</summary>
    public (double Effect, double Alpha)? Planned { get; init; }

    // By control as it is now.
    private double? Power =>
        Planned is { } planned && Primary is { Failed: false, IsBackfilling: false } primary
            ? PlanDesign
                .Of(
                    new(primary.Aggregation, primary.Definition, primary.Role, primary.ExpectedDirection, primary.Margin),
                    primary.Arm(0, IdentitiesOf(primary)[0]),
                    [.. Variants.Select(variant => variant.Weight)],
                    planned.Alpha
                )
                ?.At(IdentitiesOf(primary).Sum(), planned.Effect)
            : null;

    /// <summary>When the windows of identities are closed, or null while the experiment has not ended.</summary>
    public DateTime? WindowsCloseAt { get; init; }

    /// <summary>What earlier looks have found.</summary>
    public Evidence? Evidence { get; init; }

    /// <summary>How often what was stored has been declared invalid.</summary>
    public int Epoch { get; init; }

    /// <summary>The number of events of the environment that have been counted since the start.</summary>
    public long EventsCounted { get; init; }

    /// <summary>Since when its exposures have not been counted because its definition cannot be read, or null.</summary>
    public DateTime? UnreadableSince { get; init; }

    /// <summary>The action that was recommended when results were last stored; null before.</summary>
    public string? Recommended { get; init; }

    /// <summary>Whether the sample ratio was broken then.</summary>
    public bool WasBroken { get; init; }

    /// <summary>The rollout, if it is lower than it has been; null otherwise.</summary>
    public decimal? LoweredTo { get; init; }

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
            Measured(StoredJson.Parse(row.Metrics)!.AsArray(), [.. variants.Select(variant => variant.Key)], failed),
            row.StartedAt,
            row.EndedAt,
            row.AsOf,
            row.EventsNotCounted,
            row.Needed,
            row.Days
        )
        {
            UnreadableSince = row.UnreadableSince,
            WindowsCloseAt = row.WindowsCloseAt,
            Evidence = StoredJson.TryRead<Evidence>(row.Evidence),
            EventsCounted = row.EventsCounted,
            Epoch = row.Epoch,
            LoweredTo = row.LoweredTo,
            Recommended = row.Recommended,
            WasBroken = row.WasBroken,
            Planned = row is { PlannedEffect: { } effect, PlannedAlpha: { } alpha } ? (effect, alpha) : null,
        };
    }

    // The metrics in the order in which they were attached, which is that of their numbers.
    private static List<MeasuredMetric> Measured(JsonArray metrics, IReadOnlyList<string> keys, Action<long, Exception> failed)
    {
        var (measured, start) = (new List<MeasuredMetric>(), 0);
        foreach (var metric in metrics)
        {
            measured.Add(MeasuredMetricReader.Read(metric!, keys, start, failed));
            start = measured[^1].Layout.End;
        }

        return measured;
    }

    internal sealed record Row(
        string Variants,
        string Outcomes,
        string Metrics,
        DateTime? StartedAt,
        DateTime? EndedAt,
        DateTime? WindowsCloseAt,
        DateTime AsOf,
        long EventsNotCounted,
        long EventsCounted,
        string? Evidence,
        string? Recommended,
        bool WasBroken,
        int Epoch,
        DateTime? UnreadableSince,
        long? Needed,
        double? PlannedEffect,
        double? PlannedAlpha,
        double Days,
        decimal? LoweredTo
    );
}
