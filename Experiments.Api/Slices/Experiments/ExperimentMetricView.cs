using System.Text.Json;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Experiments;

/// <summary>A metric of an experiment: its role, and the fixed definition that the experiment measures by.</summary>
[Example(
    """
        {"id": 1, "metric": 1, "metric_name": "Revenue", "role": "primary", "expected_direction": "increase", "aggregation": "sum",
            "direction": "up", "margin": 0.1,
         "definition": {"event": "purchase", "property": "value"}, "metadata": {}, "added_after_start": false,
             "corrected_after_start": false,
             "created_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record ExperimentMetricView : IIdentified
{
    /// <summary>Selects this view from a link <c>l</c>.</summary>
    public const string Columns = """
        l.id, l.metric_id AS metric, l.name AS metric_name, l.role, l.expected_direction, l.aggregation, l.direction, l.margin,
            l.definition::text AS definition,
        l.metadata::text AS metadata, l.added_after_start, l.corrected_after_start, l.created_at
        """;

    /// <summary>Attaches each <c>metric</c> to the experiment that was <c>created</c>, by its ordinal, as <c>attached</c>.</summary>
    public const string Attached = """
        attached AS (
            INSERT INTO experiment_metrics AS l (environment_id, experiment_id, metric_id, role, expected_direction, metadata, name,
                aggregation, direction, margin, definition)
            SELECT e.environment_id, e.id, m.id, m.role, m.expected_direction, m.metadata, m.name, m.aggregation, m.direction, m.margin,
                m.definition
            FROM created e, metric m ORDER BY m.ordinal
            RETURNING l.*
        )
        """;

    /// <summary>The same as JSON, and what the audit log shows.</summary>
    public const string State = """
        jsonb_build_object('id', l.id, 'metric', l.metric_id, 'metric_name', l.name, 'role', l.role, 'expected_direction',
            l.expected_direction,
            'aggregation', l.aggregation, 'direction', l.direction, 'margin', l.margin, 'definition', l.definition, 'metadata', l.metadata,
            'added_after_start',
                l.added_after_start, 'corrected_after_start', l.corrected_after_start, 'created_at', instant(l.created_at))
        """;

    public required long Id { get; init; }

    public required long Metric { get; init; }

    public required string MetricName { get; init; }

    [Words<MetricRole>]
    public required string Role { get; init; }

    [Words<ExpectedDirection>]
    public required string ExpectedDirection { get; init; }

    [Words<MetricAggregation>]
    public required string Aggregation { get; init; }

    [Words<MetricDirection>]
    public required string Direction { get; init; }

    /// <summary>
    /// By which share of control's mean the metric, if it must not get worse, may do so and still be called safe; from 0 to 1.
    /// </summary>
    public required double Margin { get; init; }

    public required Json<MetricDefinition> Definition { get; init; }

    /// <summary>What the client keeps with it; it means nothing to the service.</summary>
    public required Json<JsonElement> Metadata { get; init; }

    public required bool AddedAfterStart { get; init; }

    /// <summary>Whether its direction or its margin was corrected after the experiment had started.</summary>
    public required bool CorrectedAfterStart { get; init; }

    public required DateTime CreatedAt { get; init; }
}
