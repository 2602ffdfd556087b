using System.Text.Json;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>
/// Imports the features of a Flagsmith environment document by name: new ones are created and different ones are updated, all or none.
/// Importing the same document again changes nothing.
/// </summary>
internal static class ImportFeatures
{
    public static void Map(RouteGroupBuilder features) =>
        features
            .MapPost("/import", context => context.Compute<JsonDocumentBody, ImportReport>(body => new Command(context.Scope, body.Json)))
            .WithOperation("importFeatures", "Import the features of a Flagsmith environment document")
            .HasBody<JsonDocumentBody>(
                """
                {"feature_states": [{"enabled": true, "feature_state_value": "blue",
                    "feature": {"id": 7, "name": "button_colour", "type": "MULTIVARIATE"},
                  "multivariate_feature_state_values": [{"percentage_allocation": 50,
                      "multivariate_feature_option": {"id": 9, "key": "green", "value": "green"}}]}]}
                """
            )
            .Returns<ImportReport>()
            .FailsWith(Problem.ImportRefused);

    internal sealed record Command(CommandScope Scope, JsonElement Document) : IRequest<Result<ImportReport>>;

    /// <summary>The names of the features of the document, by what became of them.</summary>
    /// <param name="Created">Those that are new to the project.</param>
    /// <param name="Updated">Those that changed.</param>
    /// <param name="Unchanged">Those that were as in the document.</param>
    /// <param name="Reassigned">
    /// Those of the created and updated that begin to serve options by percentage. The shares are those of Flagsmith, but identities are
    /// assigned by the hash of this service, so who gets which option changes once.
    /// </param>
    /// <param name="SkippedOverrides">The overrides of the document, which this service does not have.</param>
    [Example(
        """
            {"created": ["button_colour"], "updated": [], "unchanged": [], "reassigned": ["button_colour"],
             "skipped_overrides": [{"feature": "button_colour", "kind": "identity", "name": "alice"}]}
            """
    )]
    internal sealed record ImportReport(
        IReadOnlyList<string> Created,
        IReadOnlyList<string> Updated,
        IReadOnlyList<string> Unchanged,
        IReadOnlyList<string> Reassigned,
        IReadOnlyList<SkippedOverride> SkippedOverrides
    );

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ImportReport>>
    {
        // A started experiment depends on the options of its feature, and a draft on there being at least one. An import that would
        // change this is refused.
        private const string Sql = $"""
            SELECT pg_advisory_xact_lock(hashtextextended('import', project_id)) FROM environments WHERE id = @EnvironmentId;

            WITH named AS (
                SELECT f.id FROM features f JOIN environments e ON e.project_id = f.project_id
                WHERE e.id = @EnvironmentId AND f.deleted_at IS NULL
                    AND folded(f.name) IN (SELECT folded(g->>'name') FROM jsonb_array_elements(@Features::jsonb) AS g)
            ), defined AS (
                SELECT id FROM features WHERE id IN (SELECT id FROM named) AND @MayDefine ORDER BY id FOR NO KEY UPDATE
            )
            SELECT s.feature_id FROM feature_states s
            WHERE s.feature_id IN (SELECT id FROM named) AND (s.environment_id = @EnvironmentId OR @MayDefine)
              AND (SELECT count(*) FROM defined) >= 0
            ORDER BY s.environment_id, s.feature_id FOR UPDATE;

            WITH given AS MATERIALIZED (
                SELECT g->>'name' AS name, (g->>'enabled')::boolean AS enabled, NULLIF(g->'initial_value', 'null') AS initial_value,
                    g->'multivariate_options' AS options, ordinal
                FROM jsonb_array_elements(@Features::jsonb) WITH ORDINALITY AS t(g, ordinal)
            ), wanted AS MATERIALIZED (
                SELECT g.name AS given_name, g.enabled AS to_enabled, g.initial_value AS to_value,
                    options_of(g.options, COALESCE(f.multivariate_options, '[]')) AS to_list, g.ordinal, f.*, {FeatureView.State} AS state
                FROM given g
                LEFT JOIN environment_features f
                    ON f.environment_id = @EnvironmentId AND f.deleted_at IS NULL AND folded(f.name) = folded(g.name)
            ), judged AS MATERIALIZED (
                SELECT w.*, options_alone(w.to_list) AS to_options, percentages_of(w.to_list) AS to_percentages,
                       w.options <> options_alone(w.to_list) AS redefined,
                       (w.enabled, w.initial_value, w.multivariate_options) IS NOT DISTINCT FROM (w.to_enabled, w.to_value, w.to_list)
                           AS same,
                       ARRAY(SELECT DISTINCT n.name FROM experiments e
                           JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
                           WHERE e.feature_id = w.id AND e.status <> 'completed' AND e.deleted_at IS NULL
                               AND (w.to_list = '[]' OR (e.status <> 'created' AND (w.options <> options_alone(w.to_list) OR (
                                   e.environment_id = @EnvironmentId
                                   AND (w.initial_value, w.percentages) IS DISTINCT FROM (w.to_value, percentages_of(w.to_list)))))))
                           AS locked_in
                FROM wanted w
            ), refused AS (
                SELECT given_name || ' (in ' || array_to_string(locked_in, ', ') || ')' AS given_name, ordinal
                FROM judged WHERE locked_in <> ARRAY[]::text[] AND NOT same
            ), verdict AS (
                SELECT COALESCE(bool_or(redefined), false) AND NOT @MayDefine AS forbidden, EXISTS (SELECT FROM refused) AS is_refused
                FROM judged
            ), {FeatureView.Project}, made AS (
                INSERT INTO features (project_id, name, options, default_value)
                SELECT p.id, given_name, to_options, to_value FROM judged j, project p, verdict v
                WHERE j.id IS NULL AND NOT v.is_refused AND NOT v.forbidden ORDER BY ordinal
                RETURNING *
            ), made_here AS (
                INSERT INTO feature_states (environment_id, feature_id, project_id, enabled, initial_value, percentages)
                SELECT @EnvironmentId, m.id, m.project_id, j.to_enabled, j.to_value, j.to_percentages
                FROM made m JOIN judged j ON j.given_name = m.name
                RETURNING *
            ), created AS (
                SELECT f.id, {FeatureView.State} AS after
                FROM (SELECT {FeatureView.Here} FROM made f JOIN made_here s ON s.feature_id = f.id) f
            ), defined AS (
                UPDATE features f SET options = j.to_options, version = f.version + 1,
                    updated_at = GREATEST(clock_timestamp(), f.updated_at)
                FROM judged j, verdict v WHERE f.id = j.id AND j.redefined AND NOT v.is_refused AND NOT v.forbidden
                RETURNING f.*
            ), switched AS (
                UPDATE feature_states s SET enabled = j.to_enabled, initial_value = j.to_value, percentages = j.to_percentages,
                    held_by = CASE WHEN s.initial_value IS NOT DISTINCT FROM j.to_value THEN s.held_by END,
                    held_value = CASE WHEN s.initial_value IS NOT DISTINCT FROM j.to_value THEN s.held_value END,
                    version = s.version + 1, updated_at = GREATEST(clock_timestamp(), s.updated_at)
                FROM judged j, verdict v
                WHERE s.environment_id = @EnvironmentId AND s.feature_id = j.id AND NOT v.is_refused AND NOT v.forbidden
                  AND (s.enabled, s.initial_value, s.percentages) IS DISTINCT FROM (j.to_enabled, j.to_value, j.to_percentages)
                RETURNING s.*
            ), {FeatureView.Served}, changed AS (
                SELECT f.*, j.state AS before FROM served f JOIN judged j ON j.id = f.id
            ), draft AS (
                SELECT e.id, e.environment_id, f.updated_at, {ExperimentView.State} AS state,
                    follow(e.variants, s.initial_value,
                        CASE WHEN e.environment_id = @EnvironmentId THEN f.initial_value ELSE s.initial_value END, f.options)
                        AS to_variants
                FROM experiments e
                JOIN served f ON f.id = e.feature_id
                JOIN feature_states s ON s.environment_id = e.environment_id AND s.feature_id = e.feature_id
                JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
                WHERE e.status = 'created' AND e.deleted_at IS NULL
            ), followed AS (
                UPDATE experiments e SET variants = d.to_variants, version = e.version + 1, updated_at = d.updated_at
                FROM draft d WHERE e.id = d.id AND e.variants <> d.to_variants
                RETURNING e.id, e.environment_id, d.state AS before, {ExperimentView.State} AS after
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT @EnvironmentId, @Actor, @RequestId, @Address, 'feature.created', 'feature', id, NULL::jsonb, after FROM created
                UNION ALL
                SELECT @EnvironmentId, @Actor, @RequestId, @Address, 'feature.updated', 'feature', id, before, state FROM changed
                UNION ALL
                SELECT environment_id, @Actor, @RequestId, @Address, 'experiment.updated', 'experiment', id, before, after FROM followed
            )
            SELECT v.forbidden, ARRAY(SELECT given_name FROM refused ORDER BY ordinal) AS refused,
                   ARRAY(SELECT given_name FROM judged WHERE id IS NULL ORDER BY ordinal) AS created,
                   ARRAY(SELECT given_name FROM judged WHERE id IS NOT NULL AND NOT same ORDER BY ordinal) AS updated,
                   ARRAY(SELECT given_name FROM judged WHERE same ORDER BY ordinal) AS unchanged,
                   ARRAY(SELECT given_name FROM judged WHERE (id IS NULL OR NOT same)
                       AND to_percentages <> jsonb_build_object()
                       AND COALESCE(percentages, jsonb_build_object()) = jsonb_build_object() ORDER BY ordinal) AS reassigned
            FROM verdict v
            """;

        public async Task<Result<ImportReport>> Handle(Command command, CancellationToken cancellationToken)
        {
            var (features, wrong) = FlagsmithDocument.Read(command.Document);
            if (wrong.Count > 0)
            {
                return ProblemResult.Fields(wrong);
            }

            var row = await db.ChangeLocked<Row>(
                Sql,
                new { command.Scope, Features = JsonSerializer.Serialize(features, ApiJson.Options) },
                cancellationToken,
                locks: 2
            );

            return row!.Forbidden ? FeatureView.NotDefined
                : row.Refused.Length > 0
                    ? new ProblemResult(
                        Problem.ImportRefused,
                        $"Nothing was imported. Experiments that are not completed stand on: {string.Join(", ", row.Refused)}."
                    )
                : new ImportReport(row.Created, row.Updated, row.Unchanged, row.Reassigned, FlagsmithDocument.Overrides(command.Document));
        }

        private sealed record Row
        {
            public bool Forbidden { get; init; }

            public string[] Refused { get; init; } = [];

            public string[] Created { get; init; } = [];

            public string[] Updated { get; init; } = [];

            public string[] Unchanged { get; init; } = [];

            public string[] Reassigned { get; init; } = [];
        }
    }
}
