using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Corrects what an experiment expects of a metric, until the experiment is completed. After the start this is marked, and the evidence of
/// the metric begins anew, because what was found before was found for another question.
/// </summary>
internal static class PatchExperimentMetric
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPatch(
                "/{id}/metrics/{link}",
                context =>
                    context.Patch<Body, ExperimentMetricView>(body => new Command(context.Scope, context.Id, context.RouteId("link"), body))
            )
            .WithOperation("patchExperimentMetric", "Correct the direction or the margin of a metric of an experiment")
            .HasBody<Body>("""{"expected_direction": "not_decrease", "margin": 0.05}""")
            .Returns<ExperimentMetricView>()
            .FailsWith(Problem.NoExperiment, Problem.NoExperimentMetric, Problem.Stale, Problem.ExperimentOver);

    internal sealed record Body
    {
        public Optional<string> ExpectedDirection { get; init; }

        public Optional<double?> Margin { get; init; }

        public Optional<JsonElement?> Metadata { get; init; }
    }

    internal sealed record Command(CommandScope Scope, long Id, long Link, Body Body) : IRequest<Result<ExperimentMetricView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.ExpectedDirection).NotNullIfPresent();
            RuleFor(c => c.Body.ExpectedDirection.Value).OneOf(MetricRules.ExpectedDirections).OverridePropertyName("expected_direction");
            RuleFor(c => c.Body.Margin)
                .Holds(
                    margin => !margin.IsPresent || (margin.Value is not null && MetricRules.IsMargin(margin.Value)),
                    MetricRules.NoMargin,
                    constraints => (constraints.IsNotNull, constraints.Minimum, constraints.Maximum) = (true, "0", "1")
                );
            RuleFor(c => c.Body.Metadata.Value)
                .Must(MetricRules.IsMetadata)
                .WithMessage(MetricRules.NoMetadata)
                .OverridePropertyName("metadata");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentMetricView>>
    {
        private const string Sql = $"""
            {ExperimentMutation.Subject}, link AS (
                SELECT l.*, {ExperimentMetricView.State} AS state,
                    COALESCE(@ExpectedDirection, l.expected_direction) AS new_direction, COALESCE(@Margin, l.margin) AS new_margin,
                    COALESCE(@Metadata::jsonb, l.metadata) AS new_metadata
                FROM experiment_metrics l JOIN subject s ON s.id = l.experiment_id
                WHERE l.id = @Link
            ), found AS (
                SELECT EXISTS (SELECT FROM link) AS is_known,
                    COALESCE((SELECT directions_agree(direction, new_direction) FROM link), true) AS agrees
            ), corrected AS (
                UPDATE experiment_metrics l SET expected_direction = k.new_direction, margin = k.new_margin, metadata = k.new_metadata,
                    corrected_after_start = l.corrected_after_start
                        OR (s.status <> 'created' AND (k.new_direction, k.new_margin) <> (l.expected_direction, l.margin))
                FROM link k, subject s, verdict v, found
                WHERE l.id = k.id AND NOT v.stale AND s.status <> 'completed' AND agrees
                    AND (k.new_direction, k.new_margin, k.new_metadata) <> (l.expected_direction, l.margin, l.metadata)
                RETURNING l.*
            ), changed AS (
                UPDATE experiments e SET version = e.version + 1, updated_at = v.at FROM subject s, verdict v
                WHERE e.id = s.id AND EXISTS (SELECT FROM corrected)
            ), judged_anew AS (
                INSERT INTO results AS r (experiment_id, epoch)
                SELECT l.experiment_id, 1 FROM corrected l JOIN link k ON k.id = l.id JOIN subject s ON s.id = l.experiment_id
                WHERE s.status <> 'created' AND (k.expected_direction, k.margin) <> (l.expected_direction, l.margin)
                ON CONFLICT (experiment_id) DO UPDATE SET as_of = NULL, epoch = r.epoch + 1,
                    evidence = r.evidence #- ARRAY['metrics', @Link::text]
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT l.environment_id, @Actor, @RequestId, @Address,
                       'experiment.metric_corrected', 'experiment', l.experiment_id, k.state,
                    {ExperimentMetricView.State}
                FROM corrected l JOIN link k ON k.id = l.id
            )
            SELECT v.before, v.stale, found.*, {ExperimentMetricView.Columns}
            FROM verdict v CROSS JOIN found
            LEFT JOIN (SELECT * FROM corrected
                UNION ALL SELECT * FROM experiment_metrics k WHERE k.id = @Link AND NOT EXISTS (SELECT FROM corrected)
            ) l ON l.experiment_id = @Id
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
                    command.Link,
                    ExpectedDirection = body.ExpectedDirection.Value,
                    Margin = body.Margin.Value,
                    Metadata = body.Metadata is { IsPresent: true, Value: var metadata } ? metadata?.GetRawText() ?? "{}" : null,
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { IsKnown: false } => Problem.NoExperimentMetric,
                { Agrees: false } => ProblemResult.Field("expected_direction", MetricRules.Contradicts),
                { Stale: true } => Problem.Stale,
                { Before: ExperimentStatus.Completed } => Problem.ExperimentOver,
                _ => row,
            };
        }

        private sealed record Row : ExperimentMetricView
        {
            public ExperimentStatus Before { get; init; }

            public bool Stale { get; init; }

            public bool IsKnown { get; init; }

            public bool Agrees { get; init; }
        }
    }
}
