using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Features;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>
/// What retiring and deleting a holdout have in common: drafts that have it lose it, and features that keep a former value for its
/// identities serve their own to everybody. Each slice supplies its part as <c>changed</c>.
/// </summary>
internal static class HoldoutRetirement
{
    /// <summary>The holdout, locked, and whether it may go.</summary>
    public const string Subject = $"""
        {HoldoutView.Lock}

        WITH subject AS (
            SELECT h.*, {HoldoutView.State} AS state, {HoldoutView.Engaged} AS in_use,
                COALESCE({HoldoutView.Tag} <> ALL (@IfMatch::text[]), false) AS stale
            FROM holdouts h
            WHERE h.id = @Id AND h.environment_id = @EnvironmentId AND h.deleted_at IS NULL
        )
        """;

    /// <summary>What the drafts and the features become, with their audit entries.</summary>
    public const string Released = $"""
        draft AS (
            SELECT e.*, {ExperimentView.State} AS state FROM experiments e JOIN changed c ON e.holdout_id = c.id
            WHERE e.status = 'created' AND e.deleted_at IS NULL
        ), released AS (
            UPDATE experiments e SET holdout_id = NULL, version = e.version + 1, updated_at = GREATEST(clock_timestamp(), e.updated_at)
            FROM draft WHERE e.id = draft.id AND e.holdout_id = draft.holdout_id
            RETURNING e.*, draft.state AS before, {ExperimentView.State} AS after
        ), holding AS (
            SELECT f.id, {FeatureView.State} AS state FROM environment_features f JOIN changed c ON f.held_by = c.id
            WHERE f.environment_id = c.environment_id AND f.deleted_at IS NULL
        ), switched AS (
            UPDATE feature_states s SET held_by = NULL, held_value = NULL, version = s.version + 1,
                updated_at = GREATEST(clock_timestamp(), s.updated_at)
            FROM changed c WHERE s.environment_id = c.environment_id AND s.held_by = c.id
            RETURNING s.*
        ), {ExperimentMutation.Served}, logged_released AS (
            INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
            SELECT r.environment_id, @Actor, @RequestId, @Address, 'experiment.updated', 'experiment', r.id, r.before, r.after
            FROM released r
            UNION ALL
            SELECT f.environment_id, @Actor, @RequestId, @Address, 'feature.updated', 'feature', f.id, o.state, f.state
            FROM served f JOIN holding o ON o.id = f.id
        )
        """;
}
