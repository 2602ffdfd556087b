using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>
/// The API that Flagsmith's own front end calls, as far as it is another form of what there is: each route sends the command or the query
/// of a slice, and shows what that answers in Flagsmith's words.
/// </summary>
internal static class FlagsmithRoutes
{
    public static void MapFlagsmith(this IEndpointRouteBuilder app)
    {
        var api = app.MapGroup("/flagsmith/api/v1").RequireManagementCors().WithMetadata(new ManagementRoutes.AnyQuery());
        api.MapShell();
        var environment = api.MapGroup("/environments/{environment_key}")
            .RequireAuthorization(Policies.EnvironmentAdmin)
            .RequireFeature(FeatureGate.ExperimentalFlags);
        FlagsmithWarehouse.Map(environment);
        FlagsmithMetricRoutes.Map(environment.MapGroup("/experiment-metrics").WithTags("Flagsmith"));
        var experiments = environment.MapGroup("/experiments").WithTags("Flagsmith");
        FlagsmithExperimentRoutes.Map(experiments);
        FlagsmithExperimentMetricRoutes.Map(experiments);
    }

    /// <summary>The largest page that Flagsmith's front end may ask for.</summary>
    public const int MostAsked = 999;

    // Flagsmith's default is 999, and its front end reads one page.
    internal static Page PageOf(RequestContext context) =>
        context.Query.ContainsKey("page_size")
            ? context.Page with
            {
                Size = Math.Min(context.Page.Size, Page.MaxSize),
            }
            : context.Page with
            {
                Size = Page.MaxSize,
            };
}
