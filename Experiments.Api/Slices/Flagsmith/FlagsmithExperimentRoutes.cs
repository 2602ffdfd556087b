using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Exposures;
using Experiments.Api.Slices.Results;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>Experiments with their exposures and results.</summary>
internal static class FlagsmithExperimentRoutes
{
    public static void Map(RouteGroupBuilder experiments)
    {
        experiments
            .MapGet(
                "/",
                context =>
                    context
                        .Showing<ListExperiments.Response>(list => new FlagsmithExperiments(
                            list.Count,
                            list.Next,
                            list.Previous,
                            list.StatusCounts,
                            [.. list.Results.Select(FlagsmithExperiment.Of)]
                        ))
                        .Get(
                            new ListExperiments.Query(
                                context.Environment.Id,
                                [.. context.Query["status"]],
                                context.Query["q"],
                                null,
                                null,
                                null,
                                null,
                                FlagsmithRoutes.PageOf(context),
                                context.Address
                            )
                        )
            )
            .WithOperation("flagsmithListExperiments", "List experiments, newest first")
            .HasQuery(
                "status",
                "Only those in this status; may be repeated.",
                "running",
                repeatable: true,
                words: Domain.Words.All<Domain.ExperimentStatus>()
            )
            .HasQuery("q", "Only those with this text in their own or their feature's name, in any case.", "checkout")
            .HasLenientPaging(FlagsmithRoutes.MostAsked)
            .Returns<FlagsmithExperiments>();
        CreateFlagsmithExperiment.Map(experiments);
        experiments
            .MapGet("/{id}", context => Shown(context).Get(new GetExperiment.Query(context.Environment.Id, context.Id)))
            .WithOperation("flagsmithGetExperiment", "Read an experiment")
            .Returns<FlagsmithExperiment>()
            .FailsWith(Problem.NoExperiment);
        PatchFlagsmithExperiment.Map(experiments);
        PatchFlagsmithRollout.Map(experiments);
        experiments
            .MapDelete("/{id}", context => context.Delete(() => new DeleteExperiment.Command(context.Scope, context.Id)))
            .WithOperation("flagsmithDeleteExperiment", "Delete an experiment that is not running")
            .ReturnsNothing()
            .FailsWith(Problem.NoExperiment, Problem.ExperimentRunning);
        experiments
            .MapPost("/{id}/start", context => Act(context, new StartExperiment.Command(context.Scope, context.Id)))
            .WithOperation("flagsmithStartExperiment", "Start an experiment, or resume a paused one")
            .Returns<FlagsmithExperiment>()
            .FailsWith(Problem.NoExperiment, Problem.IllegalTransition, Problem.NothingToCompare, Problem.HeldByHoldout);
        experiments
            .MapPost("/{id}/pause", context => Act(context, new PauseExperiment.Command(context.Scope, context.Id)))
            .WithOperation("flagsmithPauseExperiment", "Pause a running experiment")
            .Returns<FlagsmithExperiment>()
            .FailsWith(Problem.NoExperiment, Problem.IllegalTransition);
        experiments
            .MapPost("/{id}/complete", context => Act(context, new CompleteExperiment.Command(context.Scope, context.Id, new())))
            .WithOperation("flagsmithCompleteExperiment", "Complete an experiment")
            .Returns<FlagsmithExperiment>()
            .FailsWith(Problem.NoExperiment, Problem.IllegalTransition);
        experiments
            .MapGet("/{id}/exposures", Exposures)
            .WithOperation("flagsmithGetExposures", "New identities by hour or day and variant")
            .Returns<FlagsmithExposures>()
            .FailsWith(Problem.NoExperiment);
        experiments
            .MapPost("/{id}/exposures/refresh", RefreshExposures)
            .WithOperation("flagsmithRefreshExposures", "Do nothing: exposures are counted as events arrive")
            .ReturnsNothing(StatusCodes.Status202Accepted)
            .FailsWith(Problem.NoExperiment, Problem.NotStarted);
        experiments
            .MapGet(
                "/{id}/results",
                context =>
                    context
                        .Showing<Analysis.ResultsView>(FlagsmithResults.Of)
                        .Get(new GetResults.Query(context.Scope, context.Id, null, null, null, null))
            )
            .WithOperation("flagsmithGetResults", "Results of an experiment")
            .Returns<FlagsmithResults>()
            .FailsWith(Problem.NoExperiment, Problem.ResultsFailed);
        experiments
            .MapPost("/{id}/results/refresh", context => context.Accept(() => new RefreshResults.Command(context.Scope, context.Id)))
            .WithOperation("flagsmithRefreshResults", "Refresh the results")
            .ReturnsNothing(StatusCodes.Status202Accepted)
            .FailsWith(Problem.NoExperiment, Problem.NotStarted, Problem.ResultsFinal, Problem.TooSoon);
    }

    private static async Task<IResult> Exposures(RequestContext context)
    {
        var found = await context.Send(new GetExperiment.Query(context.Environment.Id, context.Id));
        return found.Value is { } experiment
            ? await context
                .Showing<ExposuresView>(view => FlagsmithExposures.Of(experiment, view))
                .Get(new GetExposures.Query(context.Environment.Id, context.Id))
            : BufferedResponse.Of(found.Failure!);
    }

    private static async Task<IResult> RefreshExposures(RequestContext context)
    {
        var found = await context.Send(new GetExperiment.Query(context.Environment.Id, context.Id));
        return found switch
        {
            { Failure: { } refused } => BufferedResponse.Of(refused),
            { Value.StartedAt: null } => BufferedResponse.Of(Problem.NotStarted),
            _ => BufferedResponse.Empty(StatusCodes.Status202Accepted),
        };
    }

    private static RequestContext Shown(RequestContext context) => context.Showing<ExperimentView>(FlagsmithExperiment.Of);

    private static Task<IResult> Act(RequestContext context, MediatR.IRequest<Result<ExperimentView>> command) =>
        Shown(context).Act<RequestContext.NoBody, ExperimentView>(_ => command);
}
