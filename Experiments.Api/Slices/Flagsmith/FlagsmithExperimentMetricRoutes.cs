using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>The metrics of an experiment.</summary>
internal static class FlagsmithExperimentMetricRoutes
{
    public static void Map(RouteGroupBuilder experiments)
    {
        experiments
            .MapGet(
                "/{id}/metrics",
                context =>
                    context
                        .Showing<Listing<ExperimentMetricView>>(links => links.Results.Select(FlagsmithExperimentMetric.Of).ToList())
                        .Get(new ListExperimentMetrics.Query(context.Environment.Id, context.Id, new(1, Page.MaxSize), context.Address))
            )
            .WithOperation("flagsmithListExperimentMetrics", "List the metrics of an experiment")
            .Returns<IReadOnlyList<FlagsmithExperimentMetric>>()
            .FailsWith(Problem.NoExperiment);
        experiments
            .MapPost(
                "/{id}/metrics",
                context =>
                    Link(context)
                        .Create<FlagsmithExperimentMetricBody, ExperimentMetricView>(body => new AttachMetric.Command(
                            context.Scope,
                            context.Id,
                            new(body.Metric, null, body.ExpectedDirection)
                        ))
            )
            .WithOperation("flagsmithAttachMetric", "Attach a metric to an experiment")
            .HasBody<FlagsmithExperimentMetricBody>("""{"metric": 1, "expected_direction": "increase"}""")
            .Returns<FlagsmithExperimentMetric>(StatusCodes.Status201Created)
            .FailsWith(Problem.NoExperiment, Problem.ExperimentOver, Problem.MetricsFrozen, Problem.MetricAttached, Problem.PrimaryTaken);
        experiments
            .MapGet(
                "/{id}/metrics/{link}",
                context => Link(context).Get(new GetExperimentMetric.Query(context.Environment.Id, context.Id, context.RouteId("link")))
            )
            .WithOperation("flagsmithGetExperimentMetric", "Read a metric of an experiment")
            .Returns<FlagsmithExperimentMetric>()
            .FailsWith(Problem.NoExperiment, Problem.NoExperimentMetric);
        experiments
            .MapPatch(
                "/{id}/metrics/{link}",
                context =>
                    Link(context)
                        .Patch<FlagsmithExperimentMetricBody, ExperimentMetricView>(body => new PatchExperimentMetric.Command(
                            context.Scope,
                            context.Id,
                            context.RouteId("link"),
                            new() { ExpectedDirection = body.ExpectedDirection is null ? default : new(body.ExpectedDirection) }
                        ))
            )
            .WithOperation("flagsmithPatchExperimentMetric", "Correct what is expected of a metric of an experiment")
            .HasBody<FlagsmithExperimentMetricBody>("""{"expected_direction": "not_decrease"}""")
            .Returns<FlagsmithExperimentMetric>()
            .FailsWith(Problem.NoExperiment, Problem.NoExperimentMetric, Problem.ExperimentOver);
        experiments
            .MapDelete(
                "/{id}/metrics/{link}",
                context => context.Delete(() => new DetachMetric.Command(context.Scope, context.Id, context.RouteId("link")))
            )
            .WithOperation("flagsmithDetachMetric", "Detach a metric from an experiment that has not started")
            .ReturnsNothing()
            .FailsWith(Problem.NoExperiment, Problem.NoExperimentMetric, Problem.MetricsFrozen);
    }

    private static RequestContext Link(RequestContext context) => context.Showing<ExperimentMetricView>(FlagsmithExperimentMetric.Of);
}
