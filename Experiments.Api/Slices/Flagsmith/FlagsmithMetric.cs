using System.Text.Json.Serialization;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Metrics;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>A metric as Flagsmith's front end reads it.</summary>
[Example(
    """
        {"id": 1, "name": "Purchases", "description": "", "aggregation": "occurrence", "direction": "up",
         "definition": {"version": 1, "event": "purchase"}, "experiments": [{"id": 1, "name": "Green button", "status": "running"}],
         "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:00:00Z"}
        """
)]
internal sealed record FlagsmithMetric(
    long Id,
    string Name,
    string Description,
    [property: Words<MetricAggregation>] string Aggregation,
    [property: Words<MetricDirection>] string Direction,
    Json<MetricDefinition> Definition,
    Json<IReadOnlyList<MetricExperiment>> Experiments,
    DateTime CreatedAt,
    DateTime UpdatedAt
)
{
    public static FlagsmithMetric Of(MetricView metric)
    {
        // As it is stored, and with its version in any case.
        var (definition, version) = (metric.Definition.Text, StoredJson.Read<MetricDefinition>(metric.Definition.Text).Version);
        return new(
            metric.Id,
            metric.Name,
            metric.Description,
            metric.Aggregation,
            metric.Direction,
            new(version is null ? definition.Insert(1, "\"version\": 1, ") : definition),
            metric.Experiments,
            metric.CreatedAt,
            metric.UpdatedAt
        );
    }
}

/// <summary>A metric as it is written there. What the front end sends besides is ignored, as Flagsmith does.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record FlagsmithMetricBody(
    [property: Must(MaxLength = 255)] string? Name = null,
    [property: Must(MaxLength = 10_000)] string? Description = null,
    [property: Words<MetricAggregation>] string? Aggregation = null,
    [property: Words<MetricDirection>] string? Direction = null,
    MetricDefinition? Definition = null
)
{
    public CreateMetric.Body ToCreate() =>
        new(Name, Description, Aggregation ?? "mean", Direction, Definition: Counted(Definition, Aggregation ?? "mean", null));

    /// <summary>
    /// The definition for an aggregation. There, sums and means are those of the value of an event, which is not said; here it is, if the
    /// metric does not have it otherwise.
    /// </summary>
    public static MetricDefinition? Counted(MetricDefinition? definition, string aggregation, string? before) =>
        definition is { Property: null } && aggregation is "mean" or "sum" ? definition with { Property = before ?? "value" } : definition;
}

/// <summary>A metric of an experiment as it is written there.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record FlagsmithExperimentMetricBody(
    long? Metric = null,
    [property: Words<ExpectedDirection>] string? ExpectedDirection = null
);
