using Experiments.Api.Aggregation;

namespace Experiments.Api.Slices.Experiments;

/// <summary>What a change makes of the settings of an experiment, and whether it may: parts of the statement that changes one.</summary>
internal static class ExperimentSettings
{
    /// <summary>The settings as they will be, as <c>wanted</c>; what is not given stays.</summary>
    public const string Wanted = """
        sent AS (
            -- A client that sends the variants back as it read them sets no value.
            SELECT @SetsControl AND COALESCE(@ControlValue::jsonb, 'null') <> s.variants->0->'value' AS sets_control FROM subject s
        ), options AS (
            SELECT CASE WHEN @Options::jsonb IS NULL THEN f.multivariate_options
                        ELSE options_of(options_given(@Options::jsonb, f.multivariate_options), f.multivariate_options) END AS list,
                   CASE WHEN sent.sets_control THEN @ControlValue::jsonb ELSE f.initial_value END AS initial_value,
                   sent.sets_control
            FROM flag f, sent
        ), wanted AS (
            SELECT CASE WHEN @Weights::jsonb IS NULL THEN s.variants
                ELSE variants_of(CASE WHEN o.sets_control THEN o.initial_value ELSE s.variants->0->'value' END, o.list,
                    @Weights::jsonb) END AS variants,
                   CASE WHEN @Weights::jsonb IS NULL THEN s.transforms ELSE (
                       SELECT COALESCE(jsonb_object_agg(key, value), jsonb_build_object())
                       FROM jsonb_each(s.transforms || @Transforms::jsonb) WHERE @Weights::jsonb ? key AND value <> '[]')
                   END AS transforms,
                   COALESCE(@Exposure::jsonb, s.exposure) AS exposure, COALESCE(@Breakdowns, s.breakdowns) AS breakdowns,
                   COALESCE(@Aa, s.aa) AS aa,
                   CASE WHEN @SetsHoldout THEN @Holdout ELSE s.holdout_id END AS holdout_id,
                   CASE WHEN @SetsUnit THEN @Unit ELSE s.unit_key END AS unit_key,
                   CASE WHEN @SetsSource THEN @Connection ELSE s.connection_id END AS connection_id,
                   CASE WHEN @SetsSource THEN @Source::jsonb ELSE s.source END AS source
            FROM subject s, options o
        )
        """;

    /// <summary>What was found by another source than the experiment has after it was <c>changed</c> is forgotten.</summary>
    public const string Invalidated = $"""
        invalidated AS (
            UPDATE results r SET {RebuildWriter.Forgotten}
            FROM changed c, subject s
            WHERE r.experiment_id = c.id AND (s.connection_id, s.source) IS DISTINCT FROM (c.connection_id, c.source)
        )
        """;

    /// <summary>What stands against <c>wanted</c>, as <c>allowed</c>. The start fixes what is compared, and how it is counted.</summary>
    public const string Allowed = """
        allowed AS (
            SELECT r.yes AND NOT @MayDefine AS forbidden,
                   ARRAY(SELECT a.environment FROM elsewhere a WHERE r.yes AND a.status <> 'created' ORDER BY a.environment_id)
                       AS locked_in,
                   (@Holdout::bigint IS NULL OR EXISTS (SELECT FROM holdout)) AND (w.holdout_id IS NULL
                       OR EXISTS (SELECT FROM holdouts h WHERE h.id = w.holdout_id AND h.unit_key = w.unit_key))
                       AND (s.hashing = 'native' OR (w.holdout_id IS NULL AND w.unit_key = '')) AS has_holdout,
                   @Connection::bigint IS NULL OR EXISTS (SELECT FROM warehouse) AS has_connection,
                   w.source IS NULL OR (w.holdout_id IS NULL AND s.hashing = 'native' AND NOT w.exposure ? 'event') AS can_have_source,
                   s.type = 'web' OR NOT EXISTS (SELECT FROM jsonb_each(@Transforms::jsonb) WHERE value <> '[]') AS is_web,
                   s.status <> 'created' AND (s.variants, s.transforms, s.exposure, s.breakdowns, s.holdout_id, s.aa, s.unit_key)
                       IS DISTINCT FROM (w.variants, w.transforms, w.exposure, w.breakdowns, w.holdout_id, w.aa, w.unit_key)
                       -- The tables of a running experiment may be corrected; whether it has any is fixed.
                       OR (s.status <> 'created' AND (s.source IS NULL) <> (w.source IS NULL)) OR (s.status = 'completed'
                           AND (s.connection_id, s.source) IS DISTINCT FROM (w.connection_id, w.source)) AS frozen
            FROM subject s, wanted w, redefined r
        )
        """;
}
