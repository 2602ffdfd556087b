using System.Text.Json;
using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Computes how many identities an experiment needs, and how many days that takes, from the baseline of its primary metric. The plan is
/// stored with the experiment, and its results report the progress. The baseline comes from control once the experiment runs, and before
/// that from the events of recent days.
/// </summary>
internal static class PlanExperiment
{
    private const int FewestInControl = 50;

    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost("/{id}/plan", context => context.Act<Body, ExperimentView>(body => new Command(context.Scope, context.Id, body)))
            .WithTimeLimit(TimeSpan.FromSeconds(30))
            .WithOperation("planExperiment", "Calculate the sample size of an experiment and save it as its plan")
            .HasBody<Body>("""{"minimum_detectable_effect": 0.05, "power": 0.8}""")
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.ExperimentOver, Problem.NoBaseline);

    internal sealed record Body(
        double? MinimumDetectableEffect = null,
        double? Alpha = null,
        double? Power = null,
        bool? Sequential = null,
        double? IdentitiesPerDay = null
    );

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.MinimumDetectableEffect)
                .Must(effect => effect is > -1 and not 0 and <= 1e6)
                .WithMessage("This is required: relative to the mean, above -1, and not 0.");
            RuleFor(c => c.Body.Alpha).ExclusiveBetween(0, 1).WithMessage("This must lie between 0 and 1.");
            RuleFor(c => c.Body.Power).ExclusiveBetween(0, 1).WithMessage("This must lie between 0 and 1.");
            RuleFor(c => c.Body.IdentitiesPerDay).GreaterThan(0).WithMessage("This must be above 0.");
        }
    }

    internal sealed class Handler(Db db, Baseline baseline) : IRequestHandler<Command, Result<ExperimentView>>
    {
        private const string Known = $"""
            SELECT e.status = 'completed' AS is_over, (SELECT min((v->>'weight')::numeric) FROM jsonb_array_elements(e.variants) AS v
                WHERE (v->>'weight')::numeric > 0) AS smallest_weight,
                   e.rollout_percentage::float8 / 100 * (1 - COALESCE((SELECT h.percentage FROM holdouts h
                       WHERE h.id = e.holdout_id), 0)::float8 / 100) AS taking_part, COALESCE(l.backfilled, false) AS is_backfilled,
                           l.aggregation, l.definition::text AS definition,
                   (SELECT COALESCE(sum(count), 0)::bigint FROM exposure_counts
                       WHERE experiment_id = e.id AND outcome = '{ExposureState.InVariant}control') AS control,
                   (SELECT COALESCE(sum(count), 0)::bigint FROM exposure_counts
                       WHERE experiment_id = e.id AND outcome LIKE '{ExposureState.InVariant}%') AS identities,
                   {ResultsService.DaysRun} AS days,
                   COALESCE(s.y, 0)::float8 AS y, COALESCE(s.yy, 0)::float8 AS yy, COALESCE(s.d, 0)::float8 AS d,
                       COALESCE(s.dd, 0)::float8 AS dd, COALESCE(s.yd, 0)::float8 AS yd
            FROM experiments e
            LEFT JOIN experiment_metrics l ON l.experiment_id = e.id AND l.role = 'primary'
            LEFT JOIN metric_sums s ON s.link_id = l.id AND s.arm = 0
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            """;

        private const string Sql = $"""
            {ExperimentMutation.Subject}, changed AS (
                UPDATE experiments e SET plan = @Plan::jsonb, updated_at = v.at, version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                WHERE e.id = s.id AND NOT v.stale AND s.status <> 'completed' AND s.plan IS DISTINCT FROM @Plan::jsonb
                RETURNING e.*, {ExperimentView.State} AS state
            ), {ExperimentMutation.Logged}
            {ExperimentMutation.Returned}
            """;

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var known = await db.Row<Row>(Known, new { command.Id, command.Scope.EnvironmentId }, cancellationToken);
            if (known is null or { IsOver: true } or { Aggregation: null })
            {
                return known is null ? Problem.NoExperiment
                    : known.IsOver ? Problem.ExperimentOver
                    : Problem.NoBaseline;
            }

            // The stored sums of a winsorised metric are not winsorised, so they cannot be used.
            var definition = MetricRules.Read(known.Definition!);
            var isKnown = known.IsBackfilled && known.Control >= FewestInControl && definition.Winsorize is null;
            var (sums, perDay) = isKnown
                ? (new SufficientStatistics(known.Control, known.Y, known.YY, known.D, known.DD, known.YD), (double?)null)
                : await Before(command.Scope.EnvironmentId, known, definition, cancellationToken);
            perDay = known is { Control: >= FewestInControl, Days: > 0 } ? known.Identities / known.Days : perDay;
            var unit =
                sums.N < 2 ? default : Comparison.UnitOf(sums, MeasuredMetric.KindOf(Words.Parse<MetricAggregation>(known.Aggregation)));
            var (body, effect) = (command.Body, command.Body.MinimumDetectableEffect!.Value);
            if (!(unit.Variance > 0) || !double.IsFinite(unit.Variance) || unit.Mean == 0 || !double.IsFinite(unit.Mean))
            {
                return Problem.NoBaseline;
            }

            var power = new Power(
                unit.Mean,
                unit.Variance,
                body.Alpha ?? 0.05,
                body.Sequential is true ? ConfidenceSequence.DefaultTuning : null
            );
            if (power.SampleSize(effect, body.Power ?? 0.8) is not { } each)
            {
                return ProblemResult.Field("minimum_detectable_effect", "No number of identities shows an effect as small as this.");
            }

            // The smallest arm has to have as many as an even split would give it.
            var total = (long)Math.Ceiling(each / (double)(known.SmallestWeight / 100));
            var daily = body.IdentitiesPerDay ?? perDay;
            var plan = new ExperimentPlan(effect, total, daily > 0 ? Math.Ceiling(total / daily.Value) : null);
            var row = await db.ChangeLocked<ExperimentMutation.Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope.EnvironmentId,
                    command.Scope.Actor,
                    command.Scope.IfMatch,
                    Action = "experiment.planned",
                    Plan = JsonSerializer.Serialize(plan, ApiJson.Options),
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { Stale: true } => Problem.Stale,
                { Before: Domain.ExperimentStatus.Completed } => Problem.ExperimentOver,
                _ => row,
            };
        }

        // Of the new identities, only those take part that the holdout leaves and the rollout includes.
        private async Task<(SufficientStatistics Sums, double? PerDay)> Before(
            long environmentId,
            Row known,
            MetricDefinition definition,
            CancellationToken ct
        )
        {
            var (sums, perDay) = await db.Elsewhere(() =>
                baseline.Of(environmentId, Words.Parse<MetricAggregation>(known.Aggregation), definition, ct).OrDetach(ct)
            );
            return (sums, perDay * known.TakingPart);
        }

        // What is known of the experiment. The sums are those of the primary metric in control; see metric_sums.
        private sealed record Row
        {
            public bool IsOver { get; init; }

            /// <summary>In per cent.</summary>
            public decimal SmallestWeight { get; init; }

            /// <summary>The share of identities that neither the rollout nor the holdout leaves out.</summary>
            public double TakingPart { get; init; }

            public bool IsBackfilled { get; init; }

            public string? Aggregation { get; init; }

            public string? Definition { get; init; }

            /// <summary>The identities in control.</summary>
            public long Control { get; init; }

            /// <summary>The identities in all variants.</summary>
            public long Identities { get; init; }

            public double Days { get; init; }

            public double Y { get; init; }

            public double YY { get; init; }

            public double D { get; init; }

            public double DD { get; init; }

            public double YD { get; init; }
        }
    }
}
