using Experiments.Api.Platform.Access;

namespace Experiments.Api.Slices.Calculators;

internal static class CalculatorRoutes
{
    /// <summary>For whoever has sums already. Any valid key will do; nothing is read and nothing is kept.</summary>
    public static void MapCalculators(this RouteGroupBuilder api)
    {
        var analysis = api.MapGroup("/analysis")
            .WithTags("Analysis")
            .RequireAuthorization(Policies.AnyCaller)
            .RequireFeature(FeatureGate.ExperimentalFlags);
        CompareArms.Map(analysis);
        PlanSampleSize.Map(analysis);
        AdjustPValues.Map(analysis);
    }
}
