namespace Experiments.Api.Slices.PostHog;

/// <summary>What PostHog's SDKs call: assignment, exposures and events from one address and one key.</summary>
internal static class PostHogRoutes
{
    public static void MapPostHog(this IEndpointRouteBuilder app)
    {
        var routes = app.MapGroup("").WithTags("PostHog SDKs");
        EvaluatePostHogFlags.Map(routes);
        CapturePostHogEvents.Map(routes);
        GetPostHogConfig.Map(routes);
        ListPostHogWebExperiments.Map(routes);
    }
}
