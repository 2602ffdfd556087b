using Experiments.Api.Slices.Features;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// How a draft changes the options of its feature, which belong to the project: drafts in other environments follow, and experiments that
/// have started in any of them forbid it.
/// </summary>
internal static class FeatureRedefinition
{
    /// <summary>Locks the feature, in all its environments if there are <c>@Options</c> and the caller may set them.</summary>
    public const string Lock = """
        WITH defined AS (
            SELECT f.id FROM experiments e JOIN features f ON f.id = e.feature_id
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND @Options::jsonb IS NOT NULL AND @MayDefine
            FOR NO KEY UPDATE OF f
        )
        SELECT s.feature_id
        FROM experiments e
        JOIN feature_states s ON s.feature_id = e.feature_id
        WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND (SELECT count(*) FROM defined) >= 0
          AND (s.environment_id = e.environment_id OR (@Options::jsonb IS NOT NULL AND @MayDefine))
        ORDER BY s.environment_id
        FOR NO KEY UPDATE OF s;
        """;

    /// <summary>The active experiments on the feature <c>elsewhere</c>, and whether the <c>options</c> are to change.</summary>
    public const string Elsewhere = $"""
        elsewhere AS (
            SELECT e.*, {ExperimentView.State} AS state, t.initial_value AS value_there, n.name AS environment
            FROM experiments e
            JOIN subject s ON s.feature_id = e.feature_id AND s.id <> e.id
            JOIN feature_states t ON t.environment_id = e.environment_id AND t.feature_id = e.feature_id
            JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
            WHERE e.status <> 'completed' AND e.deleted_at IS NULL
        ), redefined AS (
            SELECT s.status = 'created' AND f.options <> options_alone(o.list) AS yes FROM subject s, flag f, options o
        )
        """;

    /// <summary>Writes the options and the values that follow from a draft that was <c>changed</c>.</summary>
    public const string Written = $"""
        defined AS (
            UPDATE features f SET options = options_alone(o.list), version = f.version + 1, updated_at = c.updated_at
            FROM changed c, redefined r, options o
            WHERE f.id = c.feature_id AND r.yes
            RETURNING f.*
        ), switched AS (
            UPDATE feature_states s SET initial_value = o.initial_value, percentages = percentages_of(o.list),
                held_by = CASE WHEN NOT o.sets_control THEN s.held_by END, held_value = CASE WHEN NOT o.sets_control THEN s.held_value END,
                version = s.version + 1, updated_at = c.updated_at
            FROM changed c, options o
            WHERE s.environment_id = c.environment_id AND s.feature_id = c.feature_id AND c.status = 'created'
              AND ((o.sets_control AND s.held_by IS NOT NULL)
                  OR (s.initial_value, s.percentages) IS DISTINCT FROM (o.initial_value, percentages_of(o.list)))
            RETURNING s.*
        ), {FeatureView.Served}, followed AS (
            UPDATE experiments e SET variants = follow(a.variants, a.value_there, a.value_there, d.options), version = e.version + 1,
                updated_at = d.updated_at
            FROM elsewhere a, defined d
            WHERE e.id = a.id AND a.status = 'created' AND follow(a.variants, a.value_there, a.value_there, d.options) <> a.variants
            RETURNING e.id, e.environment_id, a.state AS before, {ExperimentView.State} AS after
        ), logged_followed AS (
            INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
            SELECT environment_id, @Actor, @RequestId, @Address, 'experiment.updated', 'experiment', id, before, after FROM followed
        )
        """;
}
