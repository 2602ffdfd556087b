using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Starts an experiment, or resumes a paused one, and enables its feature.</summary>
internal static class StartExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/start",
                context => context.Act<RequestContext.NoBody, ExperimentView>(_ => new Command(context.Scope, context.Id))
            )
            .WithOperation("startExperiment", "Start an experiment, or resume a paused one")
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.IllegalTransition, Problem.NothingToCompare, Problem.HeldByHoldout);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<ExperimentView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentView>>
    {
        // A concurrent change or deletion of the holdout either comes first, or sees that the experiment has started with it.
        private const string Sql = $"""
            {ExperimentMutation.Subject}, holdout AS (
                SELECT h.id FROM holdouts h JOIN subject s ON s.holdout_id = h.id FOR SHARE OF h
            ), judged AS (
                SELECT s.started_at IS NULL AND NOT s.aa AND NOT variants_differ(s.variants, s.transforms) AS is_aa,
                       s.started_at IS NULL AND f.held_by <> COALESCE(s.holdout_id, 0) AS is_held
                FROM subject s, flag f
            ), changed AS (
                UPDATE experiments e SET
                    enabled_feature = CASE WHEN s.started_at IS NULL THEN NOT f.enabled ELSE s.enabled_feature END,
                    status = 'running', started_at = COALESCE(s.started_at, v.at),
                    events_before = CASE WHEN s.started_at IS NULL THEN (SELECT COALESCE(sum(n.count), 0)::bigint FROM event_names n
                        WHERE n.environment_id = s.environment_id) ELSE s.events_before END,
                    runs = s.runs + tstzmultirange(tstzrange(v.at, NULL)),
                    archived = false, updated_at = v.at, version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                CROSS JOIN flag f
                CROSS JOIN judged j
                WHERE e.id = s.id AND NOT v.stale AND s.status = ANY (@From) AND NOT j.is_aa AND j.is_held IS NOT TRUE
                  AND (SELECT count(*) FROM holdout) >= 0
                RETURNING e.*, {ExperimentView.State} AS state
            ), switched AS (
                UPDATE feature_states s SET enabled = true, updated_at = c.updated_at, version = s.version + 1
                FROM changed c
                WHERE s.environment_id = c.environment_id AND s.feature_id = c.feature_id AND NOT s.enabled
                RETURNING s.*
            ), {ExperimentMutation.Served}, {ExperimentMutation.LoggedWithServed}
            SELECT j.*, a.* FROM ({ExperimentMutation.AnswerWithServed}) a, judged j
            """;

        private static readonly string[] From = Lifecycle.Sources(ExperimentAction.Start);

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    From,
                    Action = "experiment.started",
                },
                cancellationToken
            );

            return row switch
            {
                { Stale: false, Changed: false, IsAa: true } => Problem.NothingToCompare,
                { Stale: false, Changed: false, IsHeld: true } => Problem.HeldByHoldout,
                _ => ExperimentMutation.Failed(row, ExperimentAction.Start) is { } refusal ? refusal : row!,
            };
        }

        private sealed record Row : ExperimentMutation.Row
        {
            /// <summary>Whether all variants serve the same, though nothing says that they are meant to.</summary>
            public bool IsAa { get; init; }

            /// <summary>Whether identities of another holdout than the experiment's keep a former value of the feature.</summary>
            public bool IsHeld { get; init; }
        }
    }
}
