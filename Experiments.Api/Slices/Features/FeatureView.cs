using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Features;

/// <summary>A feature as it is read, and the columns that make it.</summary>
[Example(
    """
        {"id": 1, "name": "button_colour", "type": "multivariate", "enabled": false, "initial_value": "blue",
         "multivariate_options": [{"id": 1, "key": "green", "value": "green", "default_percentage_allocation": 0}],
         "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record FeatureView : ITagged, IIdentified
{
    public const string Tag = """ '"' || f.version || '"' """;

    /// <summary>Selects this view from a feature <c>f</c>.</summary>
    public const string Columns = $"""
        {Tag} AS etag, f.id, f.name, CASE WHEN f.multivariate_options = '[]' THEN 'standard' ELSE 'multivariate' END AS type, f.enabled,
        COALESCE(f.initial_value, 'null')::text AS initial_value, f.multivariate_options::text AS multivariate_options, f.created_at,
            f.updated_at
        """;

    /// <summary>What the audit log shows of a feature <c>f</c>.</summary>
    public const string State =
        "jsonb_build_object('name', f.name, 'enabled', f.enabled, 'initial_value', f.initial_value, 'multivariate_options', "
        + "f.multivariate_options)";

    /// <summary>
    /// Goes before the statement of a change, as one of its own: it keeps experiments from being created on the feature or
    /// moved, and only the next statement sees those that came while it waited.
    /// </summary>
    public const string Lock = "SELECT id FROM features WHERE id = @Id AND environment_id = @EnvironmentId FOR UPDATE;";

    [JsonIgnore]
    public string ETag { get; init; } = "";

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Type { get; init; }

    public required bool Enabled { get; init; }

    public required Json<JsonElement> InitialValue { get; init; }

    public required Json<IReadOnlyList<FeatureOption>> MultivariateOptions { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime UpdatedAt { get; init; }
}

/// <summary>One of a feature's values besides its own.</summary>
internal sealed record FeatureOption(long Id, string Key, JsonElement Value, decimal DefaultPercentageAllocation);
