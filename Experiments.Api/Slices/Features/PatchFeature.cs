using System.Text.Json;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>
/// Changes a feature. A draft experiment on it follows the change. Once an experiment has started, only 'enabled' may change.
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

        public Optional<JsonElement?> InitialValue { get; init; }

        public Optional<bool?> Enabled { get; init; }

        public Optional<IReadOnlyList<OptionBody?>> MultivariateOptions { get; init; }
    }

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<FeatureView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
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
                FROM features f
                WHERE f.id = @Id AND f.environment_id = @EnvironmentId AND f.deleted_at IS NULL
            ), wanted AS (
                SELECT COALESCE(@Name, name) AS name, COALESCE(@Enabled, enabled) AS enabled,
                       CASE WHEN @SetsValue THEN @InitialValue::jsonb ELSE initial_value END AS initial_value,
                       COALESCE(options_of(@Options::jsonb, multivariate_options), multivariate_options) AS multivariate_options
                FROM subject
            ), active AS (
                SELECT e.*, {ExperimentView.State} AS state FROM experiments e JOIN subject f ON f.id = e.feature_id
                WHERE e.status <> 'completed' AND e.deleted_at IS NULL
            ), verdict AS (
                SELECT COALESCE({FeatureView.Tag} <> ALL (@IfMatch::text[]), false) AS stale,
                       (f.name, f.initial_value, f.multivariate_options) IS DISTINCT FROM (w.name, w.initial_value, w.multivariate_options)
                           AND EXISTS (SELECT FROM active WHERE status <> 'created') AS locked,
                       w.multivariate_options = '[]' AND EXISTS (SELECT FROM active) AS in_use,
                       EXISTS (SELECT FROM features o WHERE o.environment_id = @EnvironmentId AND o.deleted_at IS NULL
                                 AND o.id <> f.id AND lower(o.name) = lower(w.name)) AS taken
                FROM subject f, wanted w
            ), changed AS (
                UPDATE features f SET
                    name = w.name, enabled = w.enabled, initial_value = w.initial_value, multivariate_options = w.multivariate_options,
                    version = s.version + 1, updated_at = GREATEST(clock_timestamp(), s.updated_at)
                FROM subject s, wanted w, verdict v
                WHERE f.id = s.id AND NOT v.stale AND NOT v.locked AND NOT v.in_use AND NOT v.taken
                  AND (s.name, s.enabled, s.initial_value, s.multivariate_options)
                      IS DISTINCT FROM (w.name, w.enabled, w.initial_value, w.multivariate_options)
                RETURNING f.*, {FeatureView.State} AS state
            ), followed AS (
                UPDATE experiments e SET
                    variants = follow(a.variants, c.initial_value, c.multivariate_options), version = e.version + 1,
                        updated_at = c.updated_at
                FROM active a, changed c
                WHERE e.id = a.id AND a.status = 'created' AND follow(a.variants, c.initial_value, c.multivariate_options) <> a.variants
                RETURNING e.id, a.state AS before, {ExperimentView.State} AS after
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT @EnvironmentId, @Actor, @RequestId, @Address,
                       'feature.updated', 'feature', c.id, s.state, c.state FROM changed c, subject s
                UNION ALL
                SELECT @EnvironmentId, @Actor, @RequestId, @Address, 'experiment.updated', 'experiment', id, before, after FROM followed
            )
            SELECT v.*, {FeatureView.Columns}
            FROM verdict v, (SELECT * FROM changed UNION ALL SELECT * FROM subject WHERE NOT EXISTS (SELECT FROM changed)) f
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
                { Stale: true } => Problem.Stale,
                { Locked: true } => Problem.FeatureLocked,
                { InUse: true } => Problem.FeatureInUse,
                { Taken: true } => Problem.FeatureNameTaken,
                _ => row,
            };
        }

        private sealed record Row : FeatureView
        {
            public bool Stale { get; init; }

            public bool Locked { get; init; }

            public bool InUse { get; init; }

            public bool Taken { get; init; }
        }
    }
}
