using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Features;

internal static class FeatureRoutes
{
    private static readonly ObjectOf Feature = new(
        "SELECT id FROM environment_features WHERE id = @Id AND environment_id = @EnvironmentId AND deleted_at IS NULL",
        Problem.NoFeature
    );

    public static void MapFeatures(this RouteGroupBuilder environment)
    {
        var features = environment.MapGroup("/features").WithTags("Features").WithMetadata(Feature);
        ListFeatures.Map(features);
        CreateFeature.Map(features);
        GetFeature.Map(features);
        PatchFeature.Map(features);
        DeleteFeature.Map(features);
        ImportFeatures.Map(features);
    }
}
