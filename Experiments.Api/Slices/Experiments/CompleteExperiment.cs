using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Ends an experiment for good and, when asked to, makes one variant's value the feature's own. Windows of identities that are open run on,
/// unless a variant is shipped or they are to be closed.
/// </summary>
internal static class CompleteExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost("/{id}/complete", context => context.Act<Body, ExperimentView>(body => new Command(context.Scope, context.Id, body)))
            .WithOperation("completeExperiment", "Complete an experiment with a conclusion, and optionally ship a variant")
            .HasBody<Body>("""{"conclusion": "won", "comment": "Two per cent more orders.", "ship": "green"}""", required: false)
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.IllegalTransition);

    internal sealed record Body(string? Conclusion = null, string? Comment = null, string? Ship = null, bool? CloseWindows = null);

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Conclusion).OneOf("won", "lost", "inconclusive", "stopped_early", "invalid");
            RuleFor(c => c.Body.Comment).MaxCharacters(10_000);
            RuleFor(c => c.Body.Ship).Must(key => key is null || Slug.IsValid(key)).WithMessage("This must be the key of a variant.");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentView>>
    {
        private const string Sql = $"""
            {ExperimentMutation.Subject}, shipped AS (
                SELECT v->'value' AS value FROM subject s, jsonb_array_elements(s.variants) AS v WHERE v->>'key' = @Ship
            ), changed AS (
                UPDATE experiments e SET
                    status = 'completed', ended_at = v.at,
                    windows_run_on = CASE WHEN @Ship IS NOT NULL OR @CloseWindows THEN interval '0'
                        ELSE LEAST(interval '720 hours', COALESCE((SELECT max(l.window_length) FROM experiment_metrics l
                            WHERE l.experiment_id = s.id), interval '0')) END,
                    conclusion = @Conclusion, conclusion_comment = @Comment,
                    shipped_variant = @Ship, runs = s.runs * tstzmultirange(tstzrange(NULL, v.at)), updated_at = v.at,
                        version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                WHERE e.id = s.id AND NOT v.stale AND s.status = ANY (@From) AND (@Ship IS NULL OR EXISTS (SELECT FROM shipped))
                RETURNING e.*, {ExperimentView.State} AS state
            ), switched AS (
                UPDATE feature_states s SET initial_value = NULLIF(shipped.value, 'null'), percentages = DEFAULT, updated_at = c.updated_at,
                    -- Those held out keep what they had before the first variant was shipped.
                    held_by = COALESCE(s.held_by, h.id), held_value = CASE WHEN s.held_by IS NULL AND h.id IS NOT NULL
                        THEN s.initial_value ELSE s.held_value END,
                    version = s.version + 1
                FROM changed c
                CROSS JOIN shipped
                CROSS JOIN flag
                -- Whoever is held out keeps a value only if the feature had another one.
                LEFT JOIN holdouts h ON h.id = c.holdout_id AND shipped.value <> COALESCE(flag.initial_value, 'null')
                WHERE s.environment_id = c.environment_id AND s.feature_id = c.feature_id
                RETURNING s.*
            ), {ExperimentMutation.Served}, {ExperimentMutation.LoggedWithServed}
            {ExperimentMutation.AnswerWithServed}
            """;

        private static readonly string[] From = Lifecycle.Sources(ExperimentAction.Complete);

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var (conclusion, comment, ship, closeWindows) = command.Body;
            var row = await db.ChangeLocked<ExperimentMutation.Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    From,
                    Action = "experiment.completed",
                    Conclusion = conclusion,
                    Comment = comment?.Trim(),
                    Ship = ship,
                    CloseWindows = closeWindows is true,
                },
                cancellationToken
            );

            return row is { Changed: false } && ship is not null && !row.Has(ship)
                    ? ProblemResult.Field("ship", "The experiment has no variant with this key.")
                : ExperimentMutation.Failed(row, ExperimentAction.Complete) is { } refusal ? refusal
                : row!;
        }
    }
}
