namespace Experiments.Api.Slices.ApiKeys;

internal static class ApiKeyRoutes
{
    public static void MapApiKeys(this RouteGroupBuilder environment)
    {
        var keys = environment.MapGroup("/api-keys").WithTags("API keys");
        ListApiKeys.Map(keys);
        CreateApiKey.Map(keys);
        RevokeApiKey.Map(keys);
    }
}
