using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Pauses a running experiment: until it is started again, everyone gets the feature's own value.</summary>
internal static class PauseExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/pause",
                context => context.Act<RequestContext.NoBody, ExperimentView>(_ => new Command(context.Scope, context.Id))
            )
            .WithOperation("pauseExperiment", "Pause a running experiment")
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.IllegalTransition);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<ExperimentView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentView>>
    {
        private const string Sql = $"""
            {ExperimentMutation.Subject}, changed AS (
                UPDATE experiments e SET
                    status = 'paused', runs = s.runs * tstzmultirange(tstzrange(NULL, v.at)),
                    updated_at = v.at, version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                WHERE e.id = s.id AND NOT v.stale AND s.status = ANY (@From)
                RETURNING e.*, {ExperimentView.State} AS state
            ), {ExperimentMutation.Logged}
            {ExperimentMutation.Returned}
            """;

        private static readonly string[] From = Lifecycle.Sources(ExperimentAction.Pause);

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<ExperimentMutation.Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    From,
                    Action = "experiment.paused",
                },
                cancellationToken
            );

            return ExperimentMutation.Failed(row, ExperimentAction.Pause) is { } refusal ? refusal : row!;
        }
    }
}
