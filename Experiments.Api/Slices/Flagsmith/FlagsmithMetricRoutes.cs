using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Metrics;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>Metrics.</summary>
internal static class FlagsmithMetricRoutes
{
    public static void Map(RouteGroupBuilder metrics)
    {
        metrics
            .MapGet(
                "/",
                context =>
                    context
                        .Showing<Listing<MetricView>>(list => new Listing<FlagsmithMetric>(
                            list.Count,
                            list.Next,
                            list.Previous,
                            [.. list.Results.Select(FlagsmithMetric.Of)]
                        ))
                        .Get(
                            new ListMetrics.Query(
                                context.Environment.Id,
                                context.Query["q"],
                                FlagsmithRoutes.PageOf(context),
                                context.Address
                            )
                        )
            )
            .WithOperation("flagsmithListMetrics", "List metrics, newest first")
            .HasQuery("q", "Only those with this text in their name, in any case.", "revenue")
            .HasLenientPaging(FlagsmithRoutes.MostAsked)
            .Returns<Listing<FlagsmithMetric>>();
        metrics
            .MapPost(
                "/",
                context =>
                    Metric(context)
                        .Create<FlagsmithMetricBody, MetricView>(body => new CreateMetric.Command(context.Scope, body.ToCreate()))
            )
            .WithOperation("flagsmithCreateMetric", "Create a metric")
            .HasBody<FlagsmithMetricBody>(
                """{"name": "Purchases", "aggregation": "occurrence", "definition": {"version": 1, "event": "purchase"}}"""
            )
            .Returns<FlagsmithMetric>(StatusCodes.Status201Created);
        metrics
            .MapGet("/{id}", context => Metric(context).Get(new GetMetric.Query(context.Environment.Id, context.Id)))
            .WithOperation("flagsmithGetMetric", "Read a metric")
            .Returns<FlagsmithMetric>()
            .FailsWith(Problem.NoMetric);
        PatchFlagsmithMetric.Map(metrics);
        metrics
            .MapDelete("/{id}", context => context.Delete(() => new DeleteMetric.Command(context.Scope, context.Id)))
            .WithOperation("flagsmithDeleteMetric", "Delete a metric that no active experiment uses")
            .ReturnsNothing()
            .FailsWith(Problem.NoMetric, Problem.MetricInUse);
    }

    private static RequestContext Metric(RequestContext context) => context.Showing<MetricView>(FlagsmithMetric.Of);
}
