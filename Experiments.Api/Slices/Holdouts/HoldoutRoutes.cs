using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Holdouts;

internal static class HoldoutRoutes
{
    private static readonly ObjectOf Holdout = new(
        "SELECT id FROM holdouts WHERE id = @Id AND environment_id = @EnvironmentId AND deleted_at IS NULL",
        Problem.NoHoldout
    );

    public static void MapHoldouts(this RouteGroupBuilder environment)
    {
        var holdouts = environment.MapGroup("/holdouts").WithTags("Holdouts").WithMetadata(Holdout);
        ListHoldouts.Map(holdouts);
        CreateHoldout.Map(holdouts);
        GetHoldout.Map(holdouts);
        PatchHoldout.Map(holdouts);
        RetireHoldout.Map(holdouts);
        DeleteHoldout.Map(holdouts);
        GetHoldoutResults.Map(holdouts);
    }
}
