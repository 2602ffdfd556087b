using System.Text.Json.Serialization;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Calculators;

/// <summary>Says how many identities an effect needs or, given how many there will be, which effect they can show.</summary>
internal static class PlanSampleSize
{
    public static void Map(RouteGroupBuilder analysis) =>
        analysis
            .MapPost("/sample-size", context => context.Compute<Body, SampleSizePlan>(body => new Query(body)))
            .WithOperation("planSampleSize", "Sample size for an effect, or detectable effect for a sample size")
            .HasBody<Body>(
                """{"kind": "proportion", "baseline": {"mean": 0.1}, "minimum_detectable_effect": 0.05, "alpha": 0.05, "power":"""
                    + """ 0.8, "arms": 2, "identities_per_day": 10000}"""
            )
            .Returns<SampleSizePlan>();

    internal sealed record Body(
        string? Kind = null,
        Baseline? Baseline = null,
        double? MinimumDetectableEffect = null,
        double? Alpha = null,
        double? Power = null,
        int? Arms = null,
        Sequential? Sequential = null,
        double? IdentitiesPerDay = null,
        long? Total = null
    );

    /// <summary>What an identity's metric is without the experiment; the variance of a proportion follows from its mean.</summary>
    internal sealed record Baseline(double? Mean = null, double? Variance = null);

    /// <summary>The settings of the sequential test.</summary>
    internal sealed record Sequential(double? Tuning = null);

    /// <summary>How many it takes, or which relative effect so many can show; what was not asked for is absent.</summary>
    [Example("""{"per_arm": 57763, "total": 115526, "days": 12}""")]
    internal sealed record SampleSizePlan(
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? PerArm = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Total = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Days = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? MinimumDetectableEffect = null
    );

    internal sealed record Query(Body Body) : IRequest<Result<SampleSizePlan>>;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            RuleFor(q => q.Body.Kind)
                .NotNull()
                .WithMessage("This is required: mean, proportion or ratio.")
                .OneOf("mean", "proportion", "ratio");
            RuleFor(q => q.Body.Baseline).NotNull().WithMessage("This is required: the mean and the variance of one identity.");
            RuleFor(q => q.Body.Baseline!.Mean)
                .Must(mean => mean is { } value and not 0 && double.IsFinite(value))
                .WithMessage("This is required and may not be 0.")
                .When(q => q.Body.Baseline is not null);
            RuleFor(q => q.Body.Baseline!.Mean)
                .ExclusiveBetween(0, 1)
                .WithMessage("A proportion lies between 0 and 1.")
                .When(q => q.Body is { Kind: "proportion", Baseline.Mean: not null });
            RuleFor(q => q.Body.Baseline!.Variance)
                .Must(variance => variance > 0)
                .WithMessage("This is required and must be above 0.")
                .When(q => q.Body.Baseline is not null && (q.Body.Kind != "proportion" || q.Body.Baseline.Variance is not null));
            RuleFor(q => q.Body.MinimumDetectableEffect)
                .Must((query, effect) => effect is null != query.Body.Total is null)
                .WithMessage("Give either this, or total to have it computed.");
            RuleFor(q => q.Body.MinimumDetectableEffect)
                .Must(effect => effect is null || (effect > -1 && effect != 0 && Math.Abs(effect.Value) <= 1e6))
                .WithMessage("This is relative to the mean, above -1, and not 0.");
            RuleFor(q => q.Body.MinimumDetectableEffect)
                .Must((query, effect) => query.Body.Baseline!.Mean * (1 + effect) <= 1)
                .WithMessage("No proportion is above 1: baseline.mean times 1 plus this.")
                .When(q => q.Body is { Kind: "proportion", Baseline.Mean: not null, MinimumDetectableEffect: not null });
            RuleFor(q => q.Body.Alpha).ExclusiveBetween(0, 1).WithMessage("This must lie between 0 and 1.");
            RuleFor(q => q.Body.Power).ExclusiveBetween(0, 1).WithMessage("This must lie between 0 and 1.");
            RuleFor(q => q.Body.Arms).InclusiveBetween(2, 100).WithMessage("This must be from 2 to 100.");
            RuleFor(q => q.Body.Sequential!.Tuning)
                .Must(tuning => tuning is null or (>= 1 and <= 1e9))
                .WithMessage("This must be from 1 to 1e9.")
                .When(q => q.Body.Sequential is not null);
            RuleFor(q => q.Body.IdentitiesPerDay).GreaterThan(0).WithMessage("This must be above 0.");
            RuleFor(q => q.Body.Total).InclusiveBetween(4, 1L << 52).WithMessage("This must be from 4 to 2^52.");
        }
    }

    internal sealed class Handler : IRequestHandler<Query, Result<SampleSizePlan>>
    {
        public Task<Result<SampleSizePlan>> Handle(Query query, CancellationToken cancellationToken)
        {
            var body = query.Body;
            var mean = body.Baseline!.Mean!.Value;
            var tuning = body.Sequential is null ? (double?)null : body.Sequential.Tuning ?? ConfidenceSequence.DefaultTuning;
            var power = new Power(mean, body.Baseline.Variance ?? (mean * (1 - mean)), body.Alpha ?? 0.05, tuning);
            var (wanted, arms) = (body.Power ?? 0.8, body.Arms ?? 2);
            if (body.Total is { } total)
            {
                return PlanOf(
                    power.MinimumDetectableEffect(total / arms, wanted) is { } effect
                        ? new SampleSizePlan(MinimumDetectableEffect: effect)
                        : ProblemResult.Field("total", "These are too few to show any effect, however large.")
                );
            }

            if (power.SampleSize(body.MinimumDetectableEffect!.Value, wanted) is not { } each)
            {
                return PlanOf(
                    ProblemResult.Field("minimum_detectable_effect", "No number of identities shows an effect as small as this.")
                );
            }

            return PlanOf(
                new SampleSizePlan(each, each * arms, body.IdentitiesPerDay is { } daily ? (long)Math.Ceiling(each * arms / daily) : null)
            );
        }

        private static Task<Result<SampleSizePlan>> PlanOf(Result<SampleSizePlan> plan) => Task.FromResult(plan);
    }
}
