using Experiments.Api.Platform.Http;
using Microsoft.FeatureManagement;
using Microsoft.FeatureManagement.FeatureFilters;

namespace Experiments.Api.Platform.Access;

/// <summary>The gate through which the service is rolled out.</summary>
internal static class FeatureGate
{
    public const string ExperimentalFlags = "experimental_flags";

    /// <summary>
    /// Answers 404 on every route of the group while the gate is closed to the caller. The library's own filter asks who is
    /// calling through an IHttpContextAccessor, which every await of every request would pay for; here the gate is told.
    /// </summary>
    public static RouteGroupBuilder RequireFeature(this RouteGroupBuilder group, string feature)
    {
        group.AddEndpointFilter(
            async (context, next) =>
            {
                var http = context.HttpContext;
                return await http.RequestServices.GetRequiredService<IFeatureManager>().IsEnabledAsync(feature, Audience(http))
                    ? await next(context)
                    : Answer.Of(Problem.GateClosed);
            }
        );
        return group.WithMetadata(new Required(feature));
    }

    // The caller as the user, and the organisation, the project and the environment as groups.
    private static TargetingContext Audience(HttpContext http)
    {
        var user = Actor.Of(http.User).Name;
        return http.Features.Get<EnvironmentScope>() is { } scope
            ? new() { UserId = user, Groups = [scope.Organisation, scope.Project, scope.Key] }
            : new() { UserId = user };
    }

    /// <summary>Marks a route that stands behind a gate.</summary>
    internal sealed record Required(string Feature);
}
