using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Metrics;

/// <summary>A metric as it is read, and the columns that make it.</summary>
[Example(
    """
        {"id": 1, "name": "Revenue", "description": "", "aggregation": "sum", "direction": "up", "margin": null,
            "definition": {"event": "purchase", "property": "value"},
         "experiments": [{"id": 1, "name": "Green button", "status": "running"}],
         "created_by": "alice@example.com", "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record MetricView : ITagged, IIdentified
{
    // With what it shows of its experiments.
    public const string Tag = """
        '"' || m.version || '-' || (SELECT md5(COALESCE(string_agg(e.id || ':' || e.status || ':' || e.name, ',' ORDER BY e.id), ''))
            FROM experiment_metrics l JOIN experiments e ON e.id = l.experiment_id WHERE l.metric_id = m.id AND e.deleted_at IS NULL) || '"'
        """;

    /// <summary>Selects this view from a metric <c>m</c>.</summary>
    public const string Columns = $"""
        {Tag} AS etag, m.id, m.name, m.description, m.aggregation, m.direction, m.margin, m.definition::text AS definition,
        (SELECT COALESCE(json_agg(json_build_object('id', e.id, 'name', e.name, 'status', e.status) ORDER BY e.id), '[]')
         FROM experiment_metrics l JOIN experiments e ON e.id = l.experiment_id
         WHERE l.metric_id = m.id AND e.deleted_at IS NULL)::text AS experiments,
        m.created_by, m.created_at, m.updated_at
        """;

    /// <summary>What the audit log shows of a metric <c>m</c>.</summary>
    public const string State =
        "jsonb_build_object('name', m.name, 'description', m.description, 'aggregation', m.aggregation, 'direction', m.direction, "
        + "'margin', m.margin, 'definition', m.definition)";

    /// <summary>Whether an experiment that is not completed has the metric <c>m</c>.</summary>
    public const string IsMeasuredBy = """
        EXISTS (SELECT FROM experiment_metrics l JOIN experiments e ON e.id = l.experiment_id
                WHERE l.metric_id = m.id AND e.status <> 'completed' AND e.deleted_at IS NULL)
        """;

    /// <summary>
    /// Goes before the statement of a change, as one of its own: experiments that take the metric up wait for it, and it for them.
    /// </summary>
    public const string Lock = "SELECT id FROM metrics WHERE id = @Id AND environment_id = @EnvironmentId FOR UPDATE;";

    [JsonIgnore]
    public string ETag { get; init; } = "";

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Description { get; init; }

    [Words<MetricAggregation>]
    public required string Aggregation { get; init; }

    [Words<MetricDirection>]
    public required string Direction { get; init; }

    /// <summary>
    /// As a guardrail, by which share of control's mean the metric may get worse and still be called safe, from 0 to 1; null for 0.1.
    /// </summary>
    public required double? Margin { get; init; }

    public required Json<MetricDefinition> Definition { get; init; }

    public required Json<IReadOnlyList<MetricExperiment>> Experiments { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime UpdatedAt { get; init; }
}

/// <summary>An experiment that has the metric.</summary>
internal sealed record MetricExperiment(long Id, string Name, ExperimentStatus Status);
