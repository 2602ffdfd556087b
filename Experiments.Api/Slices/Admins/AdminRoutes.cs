using Experiments.Api.Platform.Access;

namespace Experiments.Api.Slices.Admins;

internal static class AdminRoutes
{
    /// <summary>
    /// Maps the admins of an environment, a project or the instance; <paramref name="scope"/> tells the operations apart.
    /// </summary>
    public static void MapAdmins(this RouteGroupBuilder group, string scope)
    {
        var admins = group.MapGroup("/admins").WithTags("Admins").RequireRole(Role.Admin);
        ListAdmins.Map(admins, scope);
        AddAdmin.Map(admins, scope);
        RemoveAdmin.Map(admins, scope);
    }
}
