using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Features;

/// <summary>A feature with all environments of its project, and the columns that make it.</summary>
[Example(
    """
        {"id": 1, "name": "button_colour", "description": "", "type": "multivariate",
         "options": [{"id": 1, "key": "green", "value": "green"}], "default_value": "blue",
         "environments": [{"id": 1, "key": "nYdVidOgY3xmcaFZEvZo5v", "name": "production", "enabled": true, "initial_value": "blue",
             "percentages": {}, "experiment": {"id": 1, "name": "Green button", "status": "running"}}],
         "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record ProjectFeatureView
{
    /// <summary>Selects this view from a feature <c>f</c>.</summary>
    public const string Columns = """
        f.id, f.name, f.description, CASE WHEN f.options = '[]' THEN 'standard' ELSE 'multivariate' END AS type, f.options::text AS options,
        COALESCE(f.default_value, 'null')::text AS default_value, f.created_at, f.updated_at,
        (SELECT COALESCE(json_agg(json_build_object(
                'id', n.id, 'key', n.key, 'name', n.name, 'enabled', s.enabled, 'initial_value', s.initial_value,
                'percentages', (SELECT COALESCE(json_object_agg(o->>'key', s.percentages->(o->>'id'))
                    FILTER (WHERE s.percentages ? (o->>'id')), '{}') FROM jsonb_array_elements(f.options) AS o),
                'experiment', (SELECT json_build_object('id', e.id, 'name', e.name, 'status', e.status) FROM experiments e
                    WHERE e.environment_id = n.id AND e.feature_id = f.id AND e.status <> 'completed' AND e.deleted_at IS NULL))
                ORDER BY n.id), '[]')
            FROM feature_states s JOIN environments n ON n.id = s.environment_id
            WHERE s.feature_id = f.id AND n.deleted_at IS NULL)::text AS environments
        """;

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Description { get; init; }

    [Words("standard", "multivariate")]
    public required string Type { get; init; }

    public required Json<IReadOnlyList<DefinedOption>> Options { get; init; }

    /// <summary>What it serves in an environment that is created later.</summary>
    public required Json<JsonElement> DefaultValue { get; init; }

    public required Json<IReadOnlyList<FeatureInEnvironment>> Environments { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime UpdatedAt { get; init; }
}

/// <summary>One of a feature's values besides its own, in all environments.</summary>
internal sealed record DefinedOption(long Id, string Key, JsonElement Value);

/// <summary>What a feature serves in one environment.</summary>
/// <param name="Id">The id of the environment.</param>
/// <param name="Key">Its public key.</param>
/// <param name="Name">Its name.</param>
/// <param name="Enabled">Whether the feature is switched on there.</param>
/// <param name="InitialValue">The feature's own value there.</param>
/// <param name="Percentages">The share that each option has there without an experiment, by its key, where it has one.</param>
/// <param name="Experiment">The experiment on it there that is not completed.</param>
internal sealed record FeatureInEnvironment(
    long Id,
    string Key,
    string Name,
    bool Enabled,
    JsonElement? InitialValue,
    IReadOnlyDictionary<string, decimal> Percentages,
    ActiveExperiment? Experiment
);

/// <summary>The experiment that a feature has in an environment.</summary>
internal sealed record ActiveExperiment(long Id, string Name, ExperimentStatus Status);
