using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Gives an experiment a metric: any before its first start, afterwards secondary ones, which are marked.</summary>
internal static class AttachMetric
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/metrics",
                context => context.Create<Body, ExperimentMetricView>(body => new Command(context.Scope, context.Id, body))
            )
            .WithOperation("attachMetric", "Attach a metric to an experiment")
            .HasBody<Body>("""{"metric": 1, "role": "guardrail", "expected_direction": "not_decrease"}""")
            .Returns<ExperimentMetricView>(StatusCodes.Status201Created)
            .FailsWith(
                Problem.NoExperiment,
                Problem.Stale,
                Problem.ExperimentOver,
                Problem.MetricsFrozen,
                Problem.MetricAttached,
                Problem.PrimaryTaken
            );

    internal sealed record Body(
        long? Metric = null,
        string? Role = null,
        string? ExpectedDirection = null,
        double? Margin = null,
        JsonElement? Metadata = null
    );

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<ExperimentMetricView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Metric).NotNull().WithMessage("This is required: the id of a metric.");
            RuleFor(c => c.Body.Role).OneOf(MetricRules.Roles);
            RuleFor(c => c.Body.ExpectedDirection).OneOf(MetricRules.ExpectedDirections);
            RuleFor(c => c.Body.Margin)
                .Holds(MetricRules.IsMargin, MetricRules.NoMargin, constraints => (constraints.Minimum, constraints.Maximum) = ("0", "1"));
            RuleFor(c => c.Body.Metadata).Must(MetricRules.IsMetadata).WithMessage(MetricRules.NoMetadata);
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentMetricView>>
    {
        private const string Sql = $"""
            {ExperimentMutation.Subject}, metric AS (
                SELECT m.*, COALESCE(@ExpectedDirection, expected_direction_of(m.direction, @Role)) AS expected_direction
                FROM metrics m WHERE m.id = @Metric AND m.environment_id = @EnvironmentId AND m.deleted_at IS NULL FOR SHARE
            ), found AS (
                SELECT EXISTS (SELECT FROM metric) AS is_known,
                       COALESCE((SELECT directions_agree(direction, expected_direction) FROM metric), true) AS agrees,
                       EXISTS (SELECT FROM experiment_metrics l WHERE l.experiment_id = s.id AND l.metric_id = @Metric) AS is_attached,
                       @Role = 'primary' AND EXISTS (SELECT FROM experiment_metrics l
                           WHERE l.experiment_id = s.id AND l.role = 'primary') AS primary_taken,
                       s.status <> 'created' AND (@Role <> 'secondary' OR EXISTS (SELECT FROM metric
                           WHERE expected_direction IN ('not_increase', 'not_decrease'))) AS frozen
                FROM subject s
            ), attached AS (
                INSERT INTO experiment_metrics AS l
                    (environment_id, experiment_id, metric_id, role, expected_direction, metadata, name, aggregation, direction, margin,
                        definition,
                        added_after_start)
                SELECT s.environment_id, s.id, m.id, @Role, m.expected_direction, COALESCE(@Metadata::jsonb, jsonb_build_object()), m.name,
                    m.aggregation, m.direction, COALESCE(@Margin, m.margin, @DefaultMargin), m.definition, s.status <> 'created'
                FROM subject s, metric m, found, verdict v
                WHERE NOT v.stale AND NOT is_attached AND NOT primary_taken AND NOT frozen AND agrees AND s.status <> 'completed'
                RETURNING l.*
            ), changed AS (
                UPDATE experiments e SET version = e.version + 1, updated_at = v.at FROM subject s, verdict v
                WHERE e.id = s.id AND EXISTS (SELECT FROM attached)
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT l.environment_id, @Actor, @RequestId, @Address,
                       'experiment.metric_attached', 'experiment', l.experiment_id, {ExperimentMetricView.State}
                FROM attached l
            )
            SELECT v.before, v.stale, found.*, {ExperimentMetricView.Columns}
            FROM verdict v CROSS JOIN found LEFT JOIN attached l ON true
            """;

        public async Task<Result<ExperimentMetricView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    body.Metric,
                    Role = body.Role ?? Words.Of(MetricRole.Secondary),
                    body.ExpectedDirection,
                    body.Margin,
                    MetricRules.DefaultMargin,
                    Metadata = body.Metadata?.GetRawText(),
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { IsKnown: false } => ProblemResult.Field("metric", "This environment has no metric with this id."),
                { Agrees: false } => ProblemResult.Field("expected_direction", MetricRules.Contradicts),
                { Stale: true } => Problem.Stale,
                { Before: ExperimentStatus.Completed } => Problem.ExperimentOver,
                { IsAttached: true } => Problem.MetricAttached,
                { Frozen: true } => Problem.MetricsFrozen,
                { PrimaryTaken: true } => Problem.PrimaryTaken,
                _ => row,
            };
        }

        private sealed record Row : ExperimentMetricView
        {
            public ExperimentStatus Before { get; init; }

            public bool Stale { get; init; }

            public bool IsKnown { get; init; }

            public bool Agrees { get; init; }

            public bool IsAttached { get; init; }

            public bool PrimaryTaken { get; init; }

            public bool Frozen { get; init; }
        }
    }
}
