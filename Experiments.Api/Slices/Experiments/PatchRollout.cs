using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Changes how many take part, at any time before the end, and how they are split, before the first start.</summary>
internal static class PatchRollout
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPatch("/{id}/rollout", context => context.Patch<Body, ExperimentView>(body => new Command(context.Scope, context.Id, body)))
            .WithOperation("patchRollout", "Update the rollout percentage and, before the first start, the split")
            .HasBody<Body>("""{"rollout_percentage": 50, "split": [{"key": "control", "weight": 50}, {"key": "green", "weight": 50}]}""")
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.SplitFrozen, Problem.ExperimentOver);

    internal sealed record Body(decimal? RolloutPercentage = null, IReadOnlyList<RolloutShare?>? Split = null)
    {
        public IReadOnlyList<RolloutShare?>? Split { get; init; } = RolloutShare.WithControl(Split);
    }

    /// <summary>The weight of a variant.</summary>
    internal sealed record RolloutShare(
        [property: Must(Required = true, MaxLength = 255)] string? Key = null,
        [property: Must(Minimum = 0, Maximum = 100)] decimal? Weight = null
    )
    {
        /// <summary>With control, which takes the rest where it has no weight.</summary>
        public static IReadOnlyList<RolloutShare?>? WithControl(IReadOnlyList<RolloutShare?>? split) =>
            Domain.Split.WithControl(
                split,
                share => (share.Key, share.Weight),
                (control, rest) => control is null ? new(Slug.Control, rest) : control with { Weight = rest }
            );
    }

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.RolloutPercentage).NotNull().WithMessage("This is required: the percentage of identities that take part.");
            RuleFor(c => c.Body.RolloutPercentage).InclusiveBetween(0, 100).WithMessage("This must be from 0 to 100.");
            RuleFor(c => c.Body.Split)
                .Custom((split, context) => Split.Check("split", split?.Select(share => (share?.Key, share?.Weight)), context.AddFailure));
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentView>>
    {
        // What the rollout was until now is kept, so that an exposure that arrives late is judged by what was in force when it happened.
        private const string Sql = $"""
            {ExperimentMutation.Subject}, wanted AS (
                SELECT s.variants, @Weights::jsonb IS NULL AS split_fits, false AS frozen
                FROM subject s
                WHERE @Weights::jsonb IS NULL
                UNION ALL
                SELECT new.variants, split_fits(f.multivariate_options, @Weights::jsonb), s.status <> 'created'
                    AND new.variants <> s.variants
                FROM subject s
                CROSS JOIN flag f
                CROSS JOIN variants_of(s.variants->0->'value', f.multivariate_options, @Weights::jsonb) AS new(variants)
                WHERE @Weights::jsonb IS NOT NULL
            ), changed AS (
                UPDATE experiments e SET
                    rollout_percentage = @Rollout, variants = w.variants,
                    rollouts = CASE WHEN s.status = 'created' OR s.rollout_percentage = @Rollout THEN s.rollouts
                        ELSE s.rollouts || jsonb_build_object('percentage', s.rollout_percentage, 'until', instant(v.at)) END,
                    updated_at = v.at, version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                CROSS JOIN wanted w
                WHERE e.id = s.id AND NOT v.stale AND w.split_fits AND NOT w.frozen AND s.status <> 'completed'
                  AND (s.rollout_percentage, s.variants) <> (@Rollout, w.variants)
                RETURNING e.*, {ExperimentView.State} AS state
            ), {ExperimentMutation.Logged}
            SELECT v.before, v.stale, w.split_fits, w.frozen, {ExperimentView.Columns}
            FROM verdict v
            CROSS JOIN wanted w
            CROSS JOIN flag f
            CROSS JOIN (SELECT * FROM changed UNION ALL SELECT * FROM subject WHERE NOT EXISTS (SELECT FROM changed)) e
            """;

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Action = "experiment.rollout_changed",
                    Rollout = command.Body.RolloutPercentage!.Value,
                    Weights = command.Body.Split is { } split
                        ? JsonSerializer.Serialize(split.ToDictionary(share => share!.Key!, share => share!.Weight!.Value))
                        : null,
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { SplitFits: false } => ProblemResult.Field("split", "These must be 'control' and each option of the feature, once."),
                { Stale: true } => Problem.Stale,
                { Before: ExperimentStatus.Completed } => Problem.ExperimentOver,
                { Frozen: true } => Problem.SplitFrozen,
                _ => row,
            };
        }

        private sealed record Row : ExperimentView
        {
            public ExperimentStatus Before { get; init; }

            public bool Stale { get; init; }

            public bool SplitFits { get; init; }

            public bool Frozen { get; init; }
        }
    }
}
