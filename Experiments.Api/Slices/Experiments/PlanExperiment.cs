using System.Text.Json;
using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Computes how many identities an experiment needs, and how many days that takes, for the test that its verdict will rest on, or takes a
/// size of one's own. The plan is stored with the experiment, and its results report the progress. The baseline comes from control once
/// the experiment runs, and before that from the events of recent days.
/// </summary>
internal static class PlanExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/plan",
                context => context.Act<Body, ExperimentView>(body => new Command(context.Scope, context.Id, context.Query["fixed"], body))
            )
            .WithTimeLimit(TimeSpan.FromSeconds(30))
            .WithOperation("planExperiment", "Calculate the sample size of an experiment and save it as its plan")
            .HasQuery("fixed", "true to add the size for a single look at a time fixed in advance.", "true", otherwise: "false")
            .HasBody<Body>("""{"minimum_detectable_effect": 0.05, "power": 0.8}""")
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.ExperimentOver, Problem.NoBaseline);

    internal sealed record Body(
        [property: Must(Above = -1, Maximum = 1e6)] double? MinimumDetectableEffect = null,
        [property: Must(Above = 0, Below = 0.5, Default = 0.05)] double? Alpha = null,
        [property: Must(Default = 0.8)] double? Power = null,
        double? IdentitiesPerDay = null,
        long? RecommendedSampleSize = null
    );

    internal sealed record Command(CommandScope Scope, long Id, string? Fixed, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Fixed).OneOf("true", "false");
            RuleFor(c => c.Body.MinimumDetectableEffect)
                .Must((c, effect) => effect is > -1 and not 0 and <= 1e6 || (effect is null && c.Body.RecommendedSampleSize is not null))
                .WithMessage("This is required: relative to the mean, above -1, and not 0.");
            RuleFor(c => c.Body.RecommendedSampleSize).InclusiveBetween(1, 1_000_000_000_000).WithMessage("This must be from 1 to 10^12.");
            RuleFor(c => c.Body.Alpha).Must(alpha => alpha is null or (> 0 and < 0.5)).WithMessage("This must lie between 0 and 0.5.");
            RuleFor(c => c.Body.Power).ExclusiveBetween(0, 1).WithMessage("This must lie between 0 and 1.");
            RuleFor(c => c.Body.IdentitiesPerDay).GreaterThan(0).WithMessage("This must be above 0.");
        }
    }

    internal sealed class Handler(Db db, PlanBaseline baselines) : IRequestHandler<Command, Result<ExperimentView>>
    {
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
            var known = await baselines.Of(command.Scope.EnvironmentId, command.Id, cancellationToken);
            if (known is null or { IsOver: true })
            {
                return known is null ? Problem.NoExperiment : Problem.ExperimentOver;
            }

            var planned = Plan(command.Body, command.Fixed == "true", known);
            if (planned.Value is not { } plan)
            {
                return planned.Failure!;
            }

            var row = await db.ChangeLocked<ExperimentMutation.Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Action = "experiment.planned",
                    Plan = JsonSerializer.Serialize(plan, ApiJson.Options),
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { Stale: true } => Problem.Stale,
                { Before: ExperimentStatus.Completed } => Problem.ExperimentOver,
                _ => row,
            };
        }

        private static Result<ExperimentPlan> Plan(Body body, bool withFixed, PlanInput known)
        {
            var daily = body.IdentitiesPerDay ?? known.PerDay;
            if (body.RecommendedSampleSize is { } own)
            {
                return new ExperimentPlan(body.MinimumDetectableEffect, own, DaysFor(own))
                {
                    Test = null,
                    Alpha = body.Alpha,
                    Power = body.Power,
                };
            }

            var (alpha, wanted, effect) = (body.Alpha ?? SequentialTests.Alpha, body.Power ?? 0.8, body.MinimumDetectableEffect!.Value);
            if (
                known.Metrics.FirstOrDefault(metric => metric.IsPrimary) is not { } primary
                || PlanDesign.Of(primary.Planned, primary.Sums, known.Weights, alpha) is not { } test
            )
            {
                return Problem.NoBaseline;
            }

            if (primary.Sums.N < PlanBaseline.FewestIdentities)
            {
                return new ProblemResult(
                    Problem.NoBaseline,
                    $"The baseline has {primary.Sums.N} identities, and a plan needs {PlanBaseline.FewestIdentities}. "
                        + "Send the events of the primary metric for a few days."
                );
            }

            if (test is { IsProportion: true, Margin: null } && test.Mean * (1 + effect) >= 1)
            {
                return ProblemResult.Field(
                    "minimum_detectable_effect",
                    FormattableString.Invariant($"The baseline is {test.Mean:0.####}, and no proportion is above 1.")
                );
            }

            if (test.SampleSize(effect, wanted) is not { } total)
            {
                return ProblemResult.Field("minimum_detectable_effect", "No number of identities shows an effect as small as this.");
            }

            return new ExperimentPlan(effect, total, DaysFor(total))
            {
                Alpha = alpha,
                Power = wanted,
                Comparisons = known.Weights.Skip(1).Count(weight => weight > 0),
                Baseline = new((long)primary.Sums.N, test.Mean, test.Variance, primary.Source),
                FixedSampleSize = withFixed ? (test with { IsFixed = true }).SampleSize(effect, wanted) : null,
                Guardrails =
                [
                    .. known
                        .Metrics.Where(metric => !metric.IsPrimary)
                        .Select(metric => new GuardrailPlan(
                            metric.Metric,
                            metric.Planned.Margin,
                            PlanDesign.Of(metric.Planned, metric.Sums, known.Weights, alpha)?.SampleSize(0, wanted)
                        )),
                ],
            };

            double? DaysFor(long identities) => daily > 0 ? Math.Ceiling(identities / daily.Value) : null;
        }
    }
}
