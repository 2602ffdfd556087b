using Experiments.Api.Platform.Wire;

namespace Experiments.Api.Slices.Admins;

/// <summary>What an admin is an admin of: one environment, or one project.</summary>
internal sealed record Place(long? EnvironmentId, long? ProjectId)
{
    public static Place Of(Call call) => call.InEnvironment ? new(call.Environment.Id, null) : new(null, call.RouteId);

    public string Word => EnvironmentId is null ? "project" : "environment";
}

internal static class AdminRoutes
{
    /// <summary>Maps the admins of an environment or of a project; <paramref name="place"/> tells the operations apart.</summary>
    public static void MapAdmins(this RouteGroupBuilder group, string place)
    {
        var admins = group.MapGroup("/admins").WithTags("Admins");
        ListAdmins.Map(admins, place);
        AddAdmin.Map(admins, place);
        RemoveAdmin.Map(admins, place);
    }
}
