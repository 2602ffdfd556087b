using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Soft-deletes an experiment and frees its feature. Its row and all dependent rows are kept.</summary>
internal static class DeleteExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapDelete("/{id}", context => context.Delete(() => new Command(context.Scope, context.Id)))
            .WithOperation("deleteExperiment", "Delete an experiment that is not running")
            .ReturnsNothing()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.ExperimentRunning);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            {ExperimentMutation.Subject}, changed AS (
                UPDATE experiments e SET deleted_at = v.at, updated_at = v.at, version = e.version + 1
                FROM subject s
                CROSS JOIN verdict v
                WHERE e.id = s.id AND NOT v.stale AND s.status <> 'running'
                RETURNING e.*, NULL::jsonb AS state
            ), {ExperimentMutation.Logged}
            {ExperimentMutation.Returned}
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<ExperimentMutation.Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Action = "experiment.deleted",
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { Stale: true } => Problem.Stale,
                { Before: ExperimentStatus.Running } => Problem.ExperimentRunning,
                _ => Nothing.Value,
            };
        }
    }
}
