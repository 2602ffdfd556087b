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
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.IllegalTransition);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<ExperimentView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentView>>
    {
        // A concurrent change or deletion of the holdout either comes first, or sees that the experiment has started with it.
        private const string Sql = $"""
            {ExperimentMutation.Subject}, holdout AS (
                SELECT h.id FROM holdouts h JOIN subject s ON s.holdout_id = h.id FOR SHARE OF h
            ), changed AS (
                UPDATE experiments e SET
                    status = 'running', started_at = COALESCE(s.started_at, v.at),
                    events_before = CASE WHEN s.started_at IS NULL THEN (SELECT COALESCE(sum(n.count), 0)::bigint FROM event_names n
                        WHERE n.environment_id = s.environment_id) ELSE s.events_before END,
                    runs = s.runs + tstzmultirange(tstzrange(v.at, NULL)),
                    archived = false, updated_at = v.at, version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                WHERE e.id = s.id AND NOT v.stale AND s.status = ANY (@From) AND (SELECT count(*) FROM holdout) >= 0
                RETURNING e.*, {ExperimentView.State} AS state
            ), switched AS (
                UPDATE feature_states s SET enabled = true, updated_at = c.updated_at, version = s.version + 1
                FROM changed c
                WHERE s.environment_id = c.environment_id AND s.feature_id = c.feature_id AND NOT s.enabled
                RETURNING s.*
            ), {ExperimentMutation.Served}, {ExperimentMutation.LoggedWithServed}
            {ExperimentMutation.AnswerWithServed}
            """;

        private static readonly string[] From = Lifecycle.Sources(ExperimentAction.Start);

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<ExperimentMutation.Row>(
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

            return ExperimentMutation.Failed(row, ExperimentAction.Start) is { } refusal ? refusal : row!;
        }
    }
}
