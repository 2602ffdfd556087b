using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Metrics;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Wire;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Declares an experiment on a multivariate feature that has no other one going on.</summary>
internal static class CreateExperiment
{
    public static void Map(RouteGroupBuilder experiments) => experiments
        .MapPost("/", (Call call) => call.Create<Body, ExperimentView>(body => new Command(call.Scope, body)))
        .Named("createExperiment", "Create an experiment on a multivariate feature")
        .Takes<Body>("""{"name": "Green button", "hypothesis": "A green button sells more.", "feature": 1, "rollout_percentage": 50}""")
        .Answers<ExperimentView>(StatusCodes.Status201Created)
        .Refuses(Problem.AlreadyActive);

    internal sealed record Body(
        string? Name = null, string? Hypothesis = null, string? Description = null, string? Type = null, long? Feature = null,
        decimal? RolloutPercentage = null, IReadOnlyList<Share?>? Variants = null, IReadOnlyList<Measure?>? Metrics = null);

    internal sealed record Share(string? Key = null, decimal? Weight = null);

    internal sealed record Measure(long? Metric = null, string? Role = null, string? ExpectedDirection = null);

    internal sealed record Command(Scope Scope, Body Body) : IRequest<Outcome<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Hypothesis).Required(10_000);
            RuleFor(c => c.Body.Description).MaxCharacters(10_000);
            RuleFor(c => c.Body.Type).OneOf("product", "web");
            RuleFor(c => c.Body.Feature).NotNull().WithMessage("This is required: the id of a multivariate feature.");
            RuleFor(c => c.Body.RolloutPercentage).InclusiveBetween(0, 100).WithMessage("This must be from 0 to 100.");
            RuleFor(c => c.Body.Variants).Custom((variants, context) => Split.Check(
                "variants", variants?.Select(variant => (variant?.Key, variant?.Weight)), context.AddFailure));
            RuleFor(c => c.Body.Metrics).Custom((metrics, context) => MetricRules.CheckMetrics(
                metrics?.Select(metric => (metric?.Metric, metric?.Role, metric?.ExpectedDirection)), context.AddFailure));
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Outcome<ExperimentView>>
    {
        // The lock on the feature keeps its options as they are read here until the experiment stands on them.
        private const string Sql =
            $"""
            WITH flag AS (
                SELECT f.*, @Weights::jsonb IS NULL OR split_fits(f.multivariate_options, @Weights::jsonb) AS split_fits
                FROM features f
                WHERE f.id = @Feature AND f.environment_id = @EnvironmentId AND f.deleted_at IS NULL
                FOR SHARE
            ), asked AS (
                SELECT * FROM jsonb_to_recordset(COALESCE(@Metrics::jsonb, '[]')) AS a(metric bigint, role text, expected_direction text)
            ), metric AS (
                SELECT m.*, a.role, a.expected_direction FROM asked a JOIN metrics m ON m.id = a.metric
                WHERE m.environment_id = @EnvironmentId AND m.deleted_at IS NULL FOR SHARE OF m
            ), created AS (
                INSERT INTO experiments AS e
                    (environment_id, feature_id, name, hypothesis, description, type, rollout_percentage, variants, created_by)
                SELECT f.environment_id, f.id, @Name, @Hypothesis, @Description, @Type, @Rollout,
                       variants_of(f.initial_value, f.multivariate_options, @Weights::jsonb), @Actor
                FROM flag f
                WHERE f.multivariate_options <> '[]' AND f.split_fits AND (SELECT count(*) FROM asked) = (SELECT count(*) FROM metric)
                ON CONFLICT (environment_id, feature_id) WHERE status <> 'completed' AND deleted_at IS NULL DO NOTHING
                RETURNING e.*, {ExperimentView.State} AS after
            ), attached AS (
                INSERT INTO experiment_metrics AS l (environment_id, experiment_id, metric_id, role, expected_direction, name, aggregation, direction, definition)
                SELECT e.environment_id, e.id, m.id, m.role, m.expected_direction, m.name, m.aggregation, m.direction, m.definition
                FROM created e, metric m ORDER BY m.role <> 'primary', m.id
                RETURNING l.*
            ), links AS (
                SELECT jsonb_agg({ExperimentMetricView.State} ORDER BY l.id) AS metrics FROM attached l
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, action, object_type, object_id, after)
                SELECT environment_id, @Actor, 'experiment.created', 'experiment', id, after || jsonb_strip_nulls(jsonb_build_object('metrics', metrics))
                FROM created, links
            )
            SELECT f.multivariate_options <> '[]' AS multivariate, f.split_fits,
                   ARRAY(SELECT metric FROM asked WHERE metric NOT IN (SELECT id FROM metric)) AS unknown_metrics,
                   {ExperimentView.ColumnsButMetrics}, (SELECT COALESCE(metrics, '[]')::text FROM links) AS metrics
            FROM flag f
            LEFT JOIN created e ON true
            """;

        public async Task<Outcome<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var row = await db.Change<Row>(
                Sql,
                new
                {
                    command.Scope.EnvironmentId,
                    command.Scope.Actor,
                    Name = body.Name!.Trim(),
                    Hypothesis = body.Hypothesis!.Trim(),
                    Description = body.Description?.Trim() ?? "",
                    Type = body.Type ?? "product",
                    body.Feature,
                    Rollout = body.RolloutPercentage ?? 100,
                    Weights = body.Variants is { } variants
                        ? JsonSerializer.Serialize(variants.ToDictionary(variant => variant!.Key!, variant => variant!.Weight!.Value))
                        : null,
                    Metrics = body.Metrics is { Count: > 0 } metrics ? MetricRules.Roled(metrics.Select(metric => (metric!.Metric!.Value, metric.Role, metric.ExpectedDirection!))) : null,
                },
                cancellationToken);

            return row switch
            {
                null => Refusal.Field("feature", "This environment has no feature with this id."),
                { Multivariate: false } => Refusal.Field("feature", "This feature has no options. Add some, so that there is something to compare."),
                { SplitFits: false } => Refusal.Field("variants", "These must be 'control' and each option of the feature, once."),
                { UnknownMetrics: [var metric, ..] } => Refusal.Field(
                    $"metrics[{body.Metrics!.Index().First(asked => asked.Item!.Metric == metric).Index}].metric", "This environment has no metric with this id."),
                { Id: 0 } => Problem.AlreadyActive,
                _ => row,
            };
        }

        private sealed record Row : ExperimentView
        {
            public bool Multivariate { get; init; }

            public bool SplitFits { get; init; }

            public long[] UnknownMetrics { get; init; } = [];
        }
    }
}
