using Experiments.Api.Analysis;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>
/// Refreshes the results of an experiment; they can be read once this is answered. Reading them with refresh=true is the same.
/// </summary>
internal static class RefreshResults
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost("/{id}/results/refresh", context => context.Accept(() => new Command(context.Scope, context.Id)))
            .WithOperation("refreshResults", "Refresh the results")
            .ReturnsNothing(StatusCodes.Status202Accepted)
            .FailsWith(Problem.NoExperiment, Problem.NotStarted, Problem.ResultsFinal, Problem.TooSoon);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(ResultsRefresh refresh) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = ResultsRefresh.Sql;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken) =>
            await refresh.Run(command.Scope, command.Id, cancellationToken) is { } refused ? refused : Nothing.Value;
    }
}
