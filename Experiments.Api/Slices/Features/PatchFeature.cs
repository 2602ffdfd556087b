using System.Text.Json;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>
/// Changes a feature: its name and options in all environments of the project, and what it serves in this one. Drafts on it follow the
/// change. Once an experiment on it has started, its name and options are fixed, and what it serves there but for 'enabled'.
/// </summary>
internal static class PatchFeature
{
    public static void Map(RouteGroupBuilder features) =>
        features
            .MapPatch("/{id}", context => context.Patch<Body, FeatureView>(body => new Command(context.Scope, context.Id, body)))
            .WithOperation("patchFeature", "Update a feature; multivariate_options replaces all options")
            .HasBody<Body>("""{"enabled": true}""")
            .Returns<FeatureView>()
            .FailsWith(Problem.NoFeature, Problem.Stale, Problem.FeatureLocked, Problem.FeatureInUse, Problem.FeatureNameTaken);

    internal sealed record Body
    {
        public Optional<string> Name { get; init; }

        public Optional<string> Description { get; init; }

        public Optional<JsonElement?> InitialValue { get; init; }

        public Optional<bool?> Enabled { get; init; }

        [Must(MaxItems = 10)]
        public Optional<IReadOnlyList<OptionBody?>> MultivariateOptions { get; init; }
    }

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<FeatureView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.Description).NotNullIfPresent();
            RuleFor(c => c.Body.Description.Value).MaxCharacters(10_000).OverridePropertyName("description");
            RuleFor(c => c.Body.InitialValue.Value).FeatureValue().OverridePropertyName("initial_value");
            RuleFor(c => c.Body.Enabled).NotNullIfPresent();
            RuleFor(c => c.Body.MultivariateOptions).NotNullIfPresent();
            RuleFor(c => c.Body.MultivariateOptions.Value).Options();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<FeatureView>>
    {
        private const string Sql = $"""
            {FeatureView.Lock}

            WITH subject AS (
                SELECT f.*, {FeatureView.State} AS state
                FROM environment_features f
                WHERE f.id = @Id AND f.environment_id = @EnvironmentId AND f.deleted_at IS NULL
            ), asked AS MATERIALIZED (
                SELECT COALESCE(options_of(@Options::jsonb, multivariate_options), multivariate_options) AS options FROM subject
            ), wanted AS (
                SELECT COALESCE(@Name, f.name) AS name, COALESCE(@Description, f.description) AS description,
                       options_alone(a.options) AS options, percentages_of(a.options) AS percentages,
                       COALESCE(@Enabled, f.enabled) AS enabled, @SetsValue AND f.held_by IS NOT NULL AS sets_free,
                       CASE WHEN @SetsValue THEN @InitialValue::jsonb ELSE f.initial_value END AS initial_value
                FROM subject f, asked a
            ), active AS (
                SELECT e.*, {ExperimentView.State} AS state, s.initial_value AS value_there, n.name AS environment
                FROM experiments e
                JOIN subject f ON f.id = e.feature_id
                JOIN feature_states s ON s.environment_id = e.environment_id AND s.feature_id = e.feature_id
                JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
                WHERE e.status <> 'completed' AND e.deleted_at IS NULL
            ), verdict AS (
                SELECT COALESCE({FeatureView.Tag} <> ALL (@IfMatch::text[]), false) AS stale,
                       (f.name, f.description, f.options) <> (w.name, w.description, w.options) AND NOT @MayDefine AS forbidden,
                       ARRAY(SELECT a.environment FROM active a
                           WHERE a.status <> 'created' AND ((f.name, f.options) <> (w.name, w.options) OR (a.environment_id = @EnvironmentId
                               AND (w.sets_free
                                   OR (f.initial_value, f.percentages) IS DISTINCT FROM (w.initial_value, w.percentages))))
                           ORDER BY a.environment_id) AS locked_in,
                       ARRAY(SELECT a.environment FROM active a WHERE w.options = '[]' ORDER BY a.environment_id) AS used_in,
                       EXISTS (SELECT FROM features o WHERE o.project_id = f.project_id AND o.deleted_at IS NULL
                                 AND o.id <> f.id AND folded(o.name) = folded(w.name)) AS taken
                FROM subject f, wanted w
            ), allowed AS (
                SELECT w.*, s.id, GREATEST(clock_timestamp(), s.updated_at) AS at
                FROM subject s, wanted w, verdict v
                WHERE NOT v.stale AND NOT v.forbidden AND NOT v.taken AND cardinality(v.locked_in) + cardinality(v.used_in) = 0
            ), defined AS (
                UPDATE features f SET name = a.name, description = a.description, options = a.options, version = f.version + 1,
                    updated_at = a.at
                FROM allowed a
                WHERE f.id = a.id AND (f.name, f.description, f.options) <> (a.name, a.description, a.options)
                RETURNING f.*
            ), switched AS (
                UPDATE feature_states s SET enabled = a.enabled, initial_value = a.initial_value, percentages = a.percentages,
                    held_by = CASE WHEN NOT a.sets_free THEN s.held_by END, held_value = CASE WHEN NOT a.sets_free THEN s.held_value END,
                    version = s.version + 1, updated_at = a.at
                FROM allowed a
                WHERE s.environment_id = @EnvironmentId AND s.feature_id = a.id
                  AND (a.sets_free
                      OR (s.enabled, s.initial_value, s.percentages) IS DISTINCT FROM (a.enabled, a.initial_value, a.percentages))
                RETURNING s.*
            ), {FeatureView.Served}, followed AS (
                UPDATE experiments e SET variants = d.variants, version = e.version + 1, updated_at = d.updated_at
                FROM (
                    SELECT a.id, a.state, f.updated_at, follow(a.variants, a.value_there,
                        CASE WHEN a.environment_id = @EnvironmentId THEN f.initial_value ELSE a.value_there END, f.options) AS variants
                    FROM active a, served f WHERE a.status = 'created'
                ) d
                WHERE e.id = d.id AND e.variants <> d.variants
                RETURNING e.id, e.environment_id, d.state AS before, {ExperimentView.State} AS after
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT @EnvironmentId, @Actor, @RequestId, @Address,
                       'feature.updated', 'feature', c.id, s.state, c.state FROM served c, subject s
                UNION ALL
                SELECT environment_id, @Actor, @RequestId, @Address, 'experiment.updated', 'experiment', id, before, after FROM followed
            )
            SELECT v.*, {FeatureView.Columns}
            FROM verdict v, (SELECT * FROM served UNION ALL SELECT * FROM subject WHERE NOT EXISTS (SELECT FROM served)) f
            """;

        public async Task<Result<FeatureView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Name = body.Name.Value?.Trim(),
                    Description = body.Description.Value?.Trim(),
                    Everywhere = body.Name.IsPresent || body.Description.IsPresent || body.MultivariateOptions.IsPresent,
                    Enabled = body.Enabled.Value,
                    SetsValue = body.InitialValue.IsPresent,
                    InitialValue = FeatureRules.Stored(body.InitialValue.Value),
                    Options = FeatureRules.Stored(body.MultivariateOptions.Value),
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoFeature,
                { Forbidden: true } => FeatureView.NotDefined,
                { Stale: true } => Problem.Stale,
                { LockedIn: [_, ..] } => FeatureView.Elsewhere(Problem.FeatureLocked, row.LockedIn),
                { UsedIn: [_, ..] } => FeatureView.Elsewhere(Problem.FeatureInUse, row.UsedIn),
                { Taken: true } => Problem.FeatureNameTaken,
                _ => row,
            };
        }

        private sealed record Row : FeatureView
        {
            public bool Stale { get; init; }

            public bool Forbidden { get; init; }

            public string[] LockedIn { get; init; } = [];

            public string[] UsedIn { get; init; } = [];

            public bool Taken { get; init; }
        }
    }
}
