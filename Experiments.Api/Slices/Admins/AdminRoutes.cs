using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Admins;

/// <summary>What an admin is an admin of: one environment, or one project.</summary>
internal sealed record AdminScope(long? EnvironmentId, long? ProjectId)
{
    public static AdminScope Of(RequestContext context) =>
        context.InEnvironment ? new(context.Environment.Id, null) : new(null, context.Id);

    public string Word => EnvironmentId is null ? "project" : "environment";
}

internal static class AdminRoutes
{
    /// <summary>Maps the admins of an environment or of a project; <paramref name="scope"/> tells the operations apart.</summary>
    public static void MapAdmins(this RouteGroupBuilder group, string scope)
    {
        var admins = group.MapGroup("/admins").WithTags("Admins");
        ListAdmins.Map(admins, scope);
        AddAdmin.Map(admins, scope);
        RemoveAdmin.Map(admins, scope);
    }
}
