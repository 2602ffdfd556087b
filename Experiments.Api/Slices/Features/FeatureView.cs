using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Features;

/// <summary>A feature as it is read, and the columns that make it.</summary>
[Example(
    """
        {"id": 1, "name": "button_colour", "description": "", "type": "multivariate", "enabled": false, "initial_value": "blue",
         "multivariate_options": [{"id": 1, "key": "green", "value": "green", "default_percentage_allocation": 0}],
         "held_value": null, "experiments": [{"id": 1, "name": "Green button", "status": "running"}],
         "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record FeatureView : ITagged, IIdentified
{
    private const string ExperimentsOf = """
        (SELECT COALESCE(jsonb_agg(jsonb_build_object('id', n.id, 'name', n.name, 'status', n.status) ORDER BY n.id DESC), '[]')
         FROM (SELECT e.id, e.name, e.status FROM experiments e
               WHERE e.feature_id = f.id AND e.environment_id = f.environment_id AND e.deleted_at IS NULL ORDER BY e.id DESC LIMIT 100) n)
        """;

    // With what it shows of its experiments.
    public const string Tag = $""" '"' || f.version || '-' || md5({ExperimentsOf}::text) || '"' """;

    /// <summary>A row of <c>environment_features</c>, from a feature <c>f</c> and its state <c>s</c> that were just written.</summary>
    public const string Here = """
        f.id, s.environment_id, f.project_id, f.name, f.description, f.options, f.default_value, s.enabled, s.initial_value, s.percentages,
        s.held_by, s.held_value, options_here(f.options, s.percentages) AS multivariate_options, f.version + s.version AS version,
        f.created_at, GREATEST(f.updated_at, s.updated_at) AS updated_at, f.deleted_at
        """;

    /// <summary>Selects this view from a feature <c>f</c>, as an environment has it.</summary>
    public const string Columns = $"""
        {Tag} AS etag, f.id, f.name, f.description,
        CASE WHEN f.options = '[]' THEN 'standard' ELSE 'multivariate' END AS type, f.enabled,
        COALESCE(f.initial_value, 'null')::text AS initial_value, f.multivariate_options::text AS multivariate_options,
        COALESCE((SELECT jsonb_build_object('holdout', jsonb_build_object('id', h.id, 'name', h.name), 'value', f.held_value)
            FROM holdouts h WHERE h.id = f.held_by), 'null')::text AS held_value,
        {ExperimentsOf}::text AS experiments, f.created_at, f.updated_at
        """;

    /// <summary>What the audit log shows of a feature <c>f</c>.</summary>
    public const string State =
        "jsonb_build_object('name', f.name, 'description', f.description, 'enabled', f.enabled, 'initial_value', f.initial_value, "
        + "'multivariate_options', f.multivariate_options, 'held_value', CASE WHEN f.held_by IS NOT NULL THEN "
        + "jsonb_build_object('holdout', f.held_by, 'value', f.held_value) END)";

    /// <summary>
    /// Goes before the statement of a change, as one of its own: it keeps experiments from being created on the feature or
    /// moved, in all environments if <c>@Everywhere</c> and the caller may change what the feature is. Only the next statement sees
    /// those that came while it waited.
    /// </summary>
    public const string Lock = """
        WITH here AS (
            SELECT feature_id FROM feature_states WHERE feature_id = @Id AND environment_id = @EnvironmentId
        ), defined AS (
            SELECT id FROM features WHERE id IN (SELECT feature_id FROM here) AND @Everywhere AND @MayDefine FOR NO KEY UPDATE
        )
        SELECT s.feature_id FROM feature_states s
        WHERE s.feature_id IN (SELECT feature_id FROM here) AND (s.environment_id = @EnvironmentId OR (@Everywhere AND @MayDefine))
          AND (SELECT count(*) FROM defined) >= 0
        ORDER BY s.environment_id FOR UPDATE;
        """;

    /// <summary>
    /// The project of the environment, locked so that no environment is added to it at the same time, which would not have the feature.
    /// </summary>
    public const string Project = """
        project AS (
            SELECT p.id FROM environments e JOIN projects p ON p.id = e.project_id WHERE e.id = @EnvironmentId FOR SHARE OF p
        )
        """;

    /// <summary>
    /// The features as they are after a statement that has <c>defined</c> rows of features, <c>switched</c> their states in this
    /// environment, or both.
    /// </summary>
    public const string Served = $"""
        served AS (
            SELECT f.*, {State} AS state
            FROM (
                SELECT {Here}
                FROM (
                    SELECT * FROM defined
                    UNION ALL
                    SELECT f.* FROM features f JOIN switched s ON s.feature_id = f.id WHERE f.id NOT IN (SELECT id FROM defined)
                ) f
                JOIN (
                    SELECT * FROM switched
                    UNION ALL
                    SELECT s.* FROM feature_states s JOIN defined d ON d.id = s.feature_id
                    WHERE s.environment_id = @EnvironmentId AND s.feature_id NOT IN (SELECT feature_id FROM switched)
                ) s ON s.feature_id = f.id
            ) f
        )
        """;

    /// <summary>Why a caller may change what a feature serves in the environment, and not what it is.</summary>
    public static readonly ProblemResult NotDefined = new(
        Problem.RoleTooLow,
        "The name and the options of a feature belong to the project: to change them, you need the role editor in the project."
    );

    /// <summary>The refusal to change or delete a feature because of experiments elsewhere.</summary>
    public static ProblemResult Elsewhere(Problem problem, IReadOnlyList<string> environments) =>
        environments.Count == 0
            ? problem
            : new ProblemResult(problem, $"{problem.Advice} The environments of such experiments: {string.Join(", ", environments)}.");

    [JsonIgnore]
    public string ETag { get; init; } = "";

    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Description { get; init; }

    [Words("standard", "multivariate")]
    public required string Type { get; init; }

    public required bool Enabled { get; init; }

    public required Json<JsonElement> InitialValue { get; init; }

    public required Json<IReadOnlyList<FeatureOption>> MultivariateOptions { get; init; }

    /// <summary>
    /// What the identities of a holdout get instead since a variant was shipped, until the holdout is retired or 'initial_value' is set.
    /// </summary>
    public required Json<HeldValue?> HeldValue { get; init; }

    /// <summary>The experiments on it in this environment, newest first, 100 at most.</summary>
    public required Json<IReadOnlyList<ExperimentOfFeature>> Experiments { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime UpdatedAt { get; init; }
}

/// <summary>An experiment on the feature.</summary>
internal sealed record ExperimentOfFeature(long Id, string Name, Domain.ExperimentStatus Status);

/// <summary>The value that a feature keeps for the identities of a holdout.</summary>
internal sealed record HeldValue(HoldingHoldout Holdout, JsonElement? Value);

/// <summary>That holdout.</summary>
internal sealed record HoldingHoldout(long Id, string Name);

/// <summary>One of a feature's values besides its own.</summary>
internal sealed record FeatureOption(long Id, string Key, JsonElement Value, decimal DefaultPercentageAllocation);
