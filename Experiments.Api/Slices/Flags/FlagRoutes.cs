namespace Experiments.Api.Slices.Flags;

internal static class FlagRoutes
{
    public static void MapFlags(this IEndpointRouteBuilder app)
    {
        var flagsmith = app.MapGroup("/api/v1").WithTags("Flags (Flagsmith SDKs)");
        GetFlags.Map(flagsmith);
        GetIdentityFlags.Map(flagsmith);
        EvaluateIdentity.Map(flagsmith);
        AcceptAnalytics.Map(flagsmith);
        StoreTraits.Map(flagsmith);

        GetEnvironmentDocument.Map(flagsmith);
        StreamChanges.Map(app.MapGroup("").WithTags("Flags (Flagsmith SDKs)"));

        ListWebExperiments.Map(app.MapGroup("/api/v1").WithTags("Web experiments"));

        var ofrep = app.MapGroup("/ofrep/v1/evaluate").WithTags("Flags (OpenFeature)");
        EvaluateFlag.Map(ofrep);
        EvaluateFlags.Map(ofrep);
    }
}
