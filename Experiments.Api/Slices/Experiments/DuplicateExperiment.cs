using System.Text.Json.Serialization;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Features;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Creates a copy of an experiment, with its settings and with those of its metrics and its holdout that still exist, in their current
/// definitions. In another environment of the project, metrics of the same name and aggregation take their place, and a holdout of the same
/// name. On a feature with other variants, the copy compares those. It has its own salt.
/// </summary>
internal static class DuplicateExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/duplicate",
                context =>
                    context.Create<Body, ExperimentView>(
                        body => new Command(context.Scope, context.Actor, context.Id, body),
                        at: "experiments"
                    )
            )
            .WithOperation("duplicateExperiment", "Duplicate an experiment, here or in another environment of the project")
            .HasBody<Body>("""{"name": "Green button, again", "feature": 2}""", required: false)
            .Returns<ExperimentView>(StatusCodes.Status201Created)
            .FailsWith(Problem.NoExperiment, Problem.AlreadyActive, Problem.ConnectionDeleted);

    internal sealed record Body(string? Name = null, long? Feature = null, string? Environment = null);

    internal sealed record Command(CommandScope Scope, Actor Actor, long Id, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => RuleFor(c => c.Body.Name).Required(255).When(c => c.Body.Name is not null);
    }

    internal sealed class Handler(Db db, AccessCache access, FeatureGate gate) : IRequestHandler<Command, Result<ExperimentView>>
    {
        private const string Sql = $"""
            WITH target AS (
                SELECT t.id, t.key FROM environments t JOIN environments e ON e.project_id = t.project_id
                WHERE e.id = @EnvironmentId AND t.id = @Target AND t.deleted_at IS NULL
            ), source AS (
                SELECT * FROM experiments WHERE id = @Id AND environment_id = @EnvironmentId AND deleted_at IS NULL
            ), flag AS (
                SELECT f.*, follow(
                    -- If a variant was shipped since, it is the feature's value by now, and control what that was before.
                    CASE WHEN f.id = o.feature_id AND f.environment_id = o.environment_id AND o.status = 'completed'
                            AND COALESCE(f.initial_value, 'null') IN (SELECT v->'value' FROM jsonb_array_elements(o.variants - 0) AS v)
                        THEN o.variants
                        ELSE jsonb_set(o.variants, ARRAY['0', 'value'], COALESCE(f.initial_value, 'null')) END,
                    f.initial_value, f.initial_value, f.options) AS variants
                FROM source o, (
                    SELECT {FeatureView.Here} FROM source o, features f JOIN feature_states s ON s.feature_id = f.id
                    WHERE f.id = COALESCE(@Feature, o.feature_id) AND s.environment_id = (SELECT id FROM target) AND f.deleted_at IS NULL
                    FOR SHARE OF f, s
                ) f
            ), counterpart AS (
                SELECT min(l.id) AS link_id, m.id AS metric_id
                FROM source s
                JOIN experiment_metrics l ON l.experiment_id = s.id
                JOIN metrics o ON o.id = l.metric_id
                JOIN LATERAL (
                    SELECT t.id FROM metrics t
                    WHERE t.environment_id = @Target AND t.deleted_at IS NULL
                      AND (t.id = o.id OR (@Target <> @EnvironmentId AND t.name = o.name AND t.aggregation = o.aggregation))
                    ORDER BY t.id LIMIT 1
                ) m ON true
                GROUP BY m.id
            ), metric AS (
                SELECT m.id, m.name, m.aggregation, m.direction, m.definition, l.role, l.metadata, l.margin, l.id AS ordinal,
                    -- The metric may have been turned round since.
                    CASE WHEN directions_agree(m.direction, l.expected_direction) THEN l.expected_direction
                         ELSE expected_direction_of(m.direction, l.role) END AS expected_direction
                FROM counterpart c JOIN experiment_metrics l ON l.id = c.link_id JOIN metrics m ON m.id = c.metric_id
                WHERE m.environment_id = @Target AND m.deleted_at IS NULL
                FOR SHARE OF m
            ), holdout AS (
                SELECT h.id FROM holdouts h
                WHERE h.id = COALESCE((SELECT held_by FROM flag), (
                    SELECT t.id FROM source s JOIN holdouts o ON o.id = s.holdout_id JOIN holdouts t ON t.environment_id = @Target
                        AND t.retired_at IS NULL AND (t.id = o.id OR (@Target <> @EnvironmentId AND t.name = o.name))
                    ORDER BY t.id LIMIT 1))
                  AND h.environment_id = @Target AND h.retired_at IS NULL
                  AND h.unit_key = (SELECT unit_key FROM source WHERE hashing = 'native')
                  AND (SELECT count(*) FROM flag) >= 0
                FOR SHARE OF h
            ), kept_connection AS (
                -- The key of the original would count its assignments once more.
                SELECT w.id FROM source s JOIN warehouse_connections w ON w.id = s.connection_id WHERE w.deleted_at IS NULL FOR SHARE OF w
            ), created AS (
                INSERT INTO experiments AS e
                    (environment_id, feature_id, name, hypothesis, description, type, rollout_percentage, variants, transforms, holdout_id,
                        exposure, breakdowns, aa, unit_key, hashing, connection_id, source, created_by)
                SELECT f.environment_id, f.id, COALESCE(@Name, left(s.name, 248) || ' (copy)'), s.hypothesis, s.description, s.type,
                    s.rollout_percentage,
                       f.variants, (SELECT COALESCE(jsonb_object_agg(key, value), jsonb_build_object()) FROM jsonb_each(s.transforms)
                           WHERE weights_of(f.variants) ? key), 
                       (SELECT id FROM holdout WHERE s.source IS NULL), s.exposure, s.breakdowns, s.aa, s.unit_key,
                       s.hashing, (SELECT id FROM kept_connection),
                       (SELECT s.source #- ARRAY['assignments', 'experiment_key'] FROM kept_connection), @Actor
                FROM source s, flag f
                WHERE f.options <> '[]' AND (s.source IS NULL OR EXISTS (SELECT FROM kept_connection))
                ON CONFLICT (environment_id, feature_id) WHERE status <> 'completed' AND deleted_at IS NULL DO NOTHING
                RETURNING e.*, {ExperimentView.State} AS after
            ), {ExperimentMetricView.Attached}, links AS (
                SELECT COALESCE(jsonb_agg({ExperimentMetricView.State} ORDER BY l.id), '[]') AS metrics FROM attached l
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT environment_id, @Actor, @RequestId, @Address, 'experiment.created', 'experiment', id,
                    after || jsonb_build_object('metrics', metrics, 'duplicate_of', @Id) FROM created, links
            )
            SELECT (SELECT key FROM target) AS environment_key, f.id AS feature_id, f.options <> '[]' AS is_multivariate,
                s.source IS NOT NULL AND NOT EXISTS (SELECT FROM kept_connection) AS lacks_connection,
                {ExperimentView.ColumnsButMetrics},
                (SELECT metrics::text FROM links) AS metrics
            FROM source s
            LEFT JOIN flag f ON true
            LEFT JOIN created e ON true
            """;

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var target = command.Body.Environment is { } key ? await access.Environment(command.Actor, key, cancellationToken) : null;
            if (
                command.Body.Environment is not null
                && (target is not { Role: >= Role.Editor } || !await gate.IsOpen(FeatureGate.ExperimentalFlags, command.Actor, target))
            )
            {
                return NoTarget;
            }

            var row = await db.Change<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Target = target?.Id ?? command.Scope.EnvironmentId,
                    Name = command.Body.Name?.Trim(),
                    command.Body.Feature,
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { EnvironmentKey: null } => NoTarget,
                { FeatureId: null } => ProblemResult.Field(
                    "feature",
                    "This environment has no feature with this id, or that of the experiment is deleted."
                ),
                { IsMultivariate: false } => ProblemResult.Field(
                    "feature",
                    "This feature has no options. Add some, so that there is something to compare."
                ),
                { LacksConnection: true } => Problem.ConnectionDeleted,
                { Id: 0 } => Problem.AlreadyActive,
                _ => row,
            };
        }

        private static ProblemResult NoTarget =>
            ProblemResult.Field("environment", "This must be the key of an environment of the project in which you are an editor.");

        private sealed record Row : ExperimentView, ICreatedIn
        {
            [JsonIgnore]
            public string? EnvironmentKey { get; init; }

            public long? FeatureId { get; init; }

            public bool IsMultivariate { get; init; }

            public bool LacksConnection { get; init; }
        }
    }
}
