using Experiments.Api.Platform.Access;

namespace Experiments.Api.Slices.ApiKeys;

internal static class ApiKeyRoutes
{
    /// <summary>Maps the keys of an environment, a project or the instance; <paramref name="scope"/> tells the operations apart.</summary>
    public static void MapApiKeys(this RouteGroupBuilder group, string scope)
    {
        var keys = group.MapGroup("/api-keys").WithTags("API keys").RequireRole(Role.Admin);
        ListApiKeys.Map(keys, scope);
        CreateApiKey.Map(keys, scope);
        RevokeApiKey.Map(keys, scope);
    }
}
