using System.Text.Json.Nodes;
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
    JsonNode Definition,
    JsonNode Experiments,
    DateTime CreatedAt,
    DateTime UpdatedAt
)
{
    public static FlagsmithMetric Of(MetricView metric)
    {
        var definition = StoredJson.Parse(metric.Definition.Text)!.AsObject();
        definition["version"] = 1;
        return new(
            metric.Id,
            metric.Name,
            metric.Description,
            metric.Aggregation,
            metric.Direction,
            definition,
            StoredJson.Parse(metric.Experiments.Text)!,
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
    public CreateMetric.Body ToCreate() => new(Name, Description, Aggregation ?? "mean", Direction, Definition: Counted);

    public PatchMetric.Body ToPatch() =>
        new()
        {
            Name = Given(Name),
            Description = Given(Description),
            Direction = Given(Direction),
            Definition = Given(Counted),
        };

    // There, sums and means are those of the value of an event, which is not said.
    private MetricDefinition? Counted =>
        Definition is { Property: null } && (Aggregation ?? "mean") is "mean" or "sum"
            ? Definition with
            {
                Property = "value",
            }
            : Definition;

    private static Optional<T> Given<T>(T? value)
        where T : class => value is null ? default : new(value);
}

/// <summary>A metric of an experiment as it is written there.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record FlagsmithExperimentMetricBody(
    long? Metric = null,
    [property: Words<ExpectedDirection>] string? ExpectedDirection = null
);
