using Microsoft.AspNetCore.Authorization;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// A fast path for requests whose API key and environment are in the <see cref="AccessCache"/>. They skip ASP.NET's authentication and
/// authorisation, which take longer than a typical query. All other requests go through both.
/// </summary>
internal static class RememberedAccess
{
    public static void UseRememberedAccess(this IApplicationBuilder app)
    {
        var access = app.ApplicationServices.GetRequiredService<AccessCache>();
        var gate = app.ApplicationServices.GetRequiredService<FeatureGate>();
        app.Use((http, next) => IsGranted(access, http) ? gate.Pass(http, http.GetEndpoint()!.RequestDelegate!) : next(http));
    }

    private static bool IsGranted(AccessCache access, HttpContext http)
    {
        if (
            http.GetEndpoint()?.Metadata.GetOrderedMetadata<IAuthorizeData>() is not [{ Policy: Policies.EnvironmentAdmin }]
            || http.GetRouteValue("environment_key") is not string key
            || ApiKeyAuthentication.TrySecret(http.Request) is not { } secret
            || access.Remembered(secret) is not { Principal: { } caller }
            || access.Remembered(Actor.Of(caller), key) is not { } scope
            || scope.Role < Roles.Needed(http)
        )
        {
            return false;
        }

        http.User = caller;
        http.Features.Set(scope);
        return true;
    }
}
