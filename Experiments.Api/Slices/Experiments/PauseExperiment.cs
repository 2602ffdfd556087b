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
                (ObjectId id, RequestContext context) =>
                    context.Act<RequestContext.NoBody, ExperimentView>(_ => new Command(context.Scope, id.Value))
            )
            .Named("pauseExperiment", "Pause a running experiment")
            .Answers<ExperimentView>()
            .Refuses(Problem.NoExperiment, Problem.Stale, Problem.IllegalTransition);

    internal sealed record Command(Scope Scope, long Id) : IRequest<Outcome<ExperimentView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Outcome<ExperimentView>>
    {
        private const string Sql = $"""
            {ExperimentChange.Subject}, changed AS (
                UPDATE experiments e SET
                    status = 'paused', runs = s.runs * tstzmultirange(tstzrange(NULL, v.at)),
                    updated_at = v.at, version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                WHERE e.id = s.id AND NOT v.stale AND s.status = ANY (@From)
                RETURNING e.*, {ExperimentView.State} AS state
            ), {ExperimentChange.Logged}
            {ExperimentChange.Answer}
            """;

        private static readonly string[] From = Lifecycle.Sources(ExperimentAction.Pause);

        public async Task<Outcome<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<ExperimentChange.Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope.EnvironmentId,
                    command.Scope.Actor,
                    command.Scope.IfMatch,
                    From,
                    Action = "experiment.paused",
                },
                cancellationToken
            );

            return ExperimentChange.Refused(row, ExperimentAction.Pause) is { } refusal ? refusal : row!;
        }
    }
}
