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
            .MapPost("/import", context => context.Compute<JsonDocumentBody, Report>(body => new Command(context.Scope, body.Json)))
            .WithOperation("importFeatures", "Import the features of a Flagsmith environment document")
            .HasBody<JsonDocumentBody>(
                """
                {"feature_states": [{"enabled": true, "feature_state_value": "blue",
                    "feature": {"id": 7, "name": "button_colour", "type": "MULTIVARIATE"},
                  "multivariate_feature_state_values": [{"percentage_allocation": 50,
                      "multivariate_feature_option": {"id": 9, "key": "green", "value": "green"}}]}]}
                """
            )
            .Returns<Report>()
            .FailsWith(Problem.ImportRefused);

    internal sealed record Command(CommandScope Scope, JsonElement Document) : IRequest<Result<Report>>;

    /// <summary>The names of the features of the document, by what became of them.</summary>
    [Example("""{"created": ["button_colour"], "updated": [], "unchanged": []}""")]
    internal sealed record Report(IReadOnlyList<string> Created, IReadOnlyList<string> Updated, IReadOnlyList<string> Unchanged);

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Report>>
    {
        // A started experiment depends on the options of its feature, and a draft on there being at least one. An import that would
        // change this is refused.
        private const string Sql = $"""
            WITH turn AS MATERIALIZED (
                SELECT pg_advisory_xact_lock(hashtextextended('import', @EnvironmentId))
            )
            SELECT id FROM features
            WHERE (SELECT count(*) FROM turn) >= 0 AND environment_id = @EnvironmentId AND deleted_at IS NULL
                AND lower(name) IN (SELECT lower(g->>'name') FROM jsonb_array_elements(@Features::jsonb) AS g)
            ORDER BY id FOR UPDATE OF features;

            WITH given AS MATERIALIZED (
                SELECT g->>'name' AS name, (g->>'enabled')::boolean AS enabled, NULLIF(g->'initial_value', 'null') AS initial_value,
                    g->'multivariate_options' AS options, ordinal
                FROM jsonb_array_elements(@Features::jsonb) WITH ORDINALITY AS t(g, ordinal)
            ), wanted AS MATERIALIZED (
                SELECT g.name AS given_name, g.enabled AS to_enabled, g.initial_value AS to_value,
                    options_of(g.options, COALESCE(f.multivariate_options, '[]')) AS to_options, g.ordinal, f.*,
                       {FeatureView.State} AS state
                FROM given g
                LEFT JOIN features f ON f.environment_id = @EnvironmentId AND f.deleted_at IS NULL AND lower(f.name) = lower(g.name)
            ), judged AS MATERIALIZED (
                SELECT w.*, (w.enabled, w.initial_value, w.multivariate_options) IS NOT DISTINCT
                FROM (w.to_enabled, w.to_value, w.to_options) AS same,
                       EXISTS (SELECT FROM experiments e WHERE e.feature_id = w.id AND e.status <> 'completed' AND e.deleted_at IS NULL
                               AND (w.to_options = '[]' OR (e.status <> 'created' AND (w.initial_value, w.multivariate_options) IS DISTINCT
                                   FROM (w.to_value, w.to_options)))) AS locked
                FROM wanted w
            ), refused AS (
                SELECT given_name, ordinal FROM judged WHERE locked AND NOT same
            ), created AS (
                INSERT INTO features AS f (environment_id, name, enabled, initial_value, multivariate_options)
                SELECT @EnvironmentId, given_name, to_enabled, to_value, to_options FROM judged
                WHERE id IS NULL AND NOT EXISTS (SELECT FROM refused) ORDER BY ordinal
                RETURNING f.*, {FeatureView.State} AS after
            ), changed AS (
                UPDATE features f SET enabled = j.to_enabled, initial_value = j.to_value, multivariate_options = j.to_options,
                    version = f.version + 1, updated_at = GREATEST(clock_timestamp(), f.updated_at)
                FROM judged j WHERE f.id = j.id AND NOT j.same AND NOT EXISTS (SELECT FROM refused)
                RETURNING f.*, j.state AS before, {FeatureView.State} AS after
            ), draft AS (
                SELECT e.id, c.initial_value, c.multivariate_options, c.updated_at, {ExperimentView.State} AS state
                FROM experiments e JOIN changed c ON c.id = e.feature_id
                WHERE e.status = 'created' AND e.deleted_at IS NULL
                    AND follow(e.variants, c.initial_value, c.multivariate_options) <> e.variants
            ), followed AS (
                UPDATE experiments e SET variants = follow(e.variants, d.initial_value, d.multivariate_options), version = e.version + 1,
                    updated_at = d.updated_at
                FROM draft d WHERE e.id = d.id
                RETURNING e.id, d.state AS before, {ExperimentView.State} AS after
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT @EnvironmentId, @Actor, @RequestId, @Address, 'feature.created', 'feature', id, NULL::jsonb, after FROM created
                UNION ALL
                SELECT @EnvironmentId, @Actor, @RequestId, @Address, 'feature.updated', 'feature', id, before, after FROM changed
                UNION ALL
                SELECT @EnvironmentId, @Actor, @RequestId, @Address, 'experiment.updated', 'experiment', id, before, after FROM followed
            )
            SELECT ARRAY(SELECT given_name FROM refused ORDER BY ordinal) AS refused,
                   ARRAY(SELECT given_name FROM judged WHERE id IS NULL ORDER BY ordinal) AS created,
                   ARRAY(SELECT given_name FROM judged WHERE id IS NOT NULL AND NOT same ORDER BY ordinal) AS updated,
                   ARRAY(SELECT given_name FROM judged WHERE same ORDER BY ordinal) AS unchanged
            """;

        public async Task<Result<Report>> Handle(Command command, CancellationToken cancellationToken)
        {
            var (features, wrong) = FlagsmithDocument.Read(command.Document);
            if (wrong.Count > 0)
            {
                return ProblemResult.Fields(wrong);
            }

            var row = await db.ChangeLocked<Row>(
                Sql,
                new { command.Scope, Features = JsonSerializer.Serialize(features, ApiJson.Options) },
                cancellationToken
            );

            return row!.Refused.Length > 0
                ? new ProblemResult(
                    Problem.ImportRefused,
                    $"Nothing was imported. Experiments that are not completed stand on: {string.Join(", ", row.Refused)}."
                )
                : new Report(row.Created, row.Updated, row.Unchanged);
        }

        private sealed record Row
        {
            public string[] Refused { get; init; } = [];

            public string[] Created { get; init; } = [];

            public string[] Updated { get; init; } = [];

            public string[] Unchanged { get; init; } = [];
        }
    }
}
