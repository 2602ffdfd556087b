using Experiments.Api.Platform.Http;
using Microsoft.FeatureManagement;
using Microsoft.FeatureManagement.FeatureFilters;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// The gate through which the service is rolled out. The library's own filter asks who is calling through an IHttpContextAccessor, which
/// every await of every request would pay for; this one is told.
/// </summary>
internal sealed class FeatureGate(IFeatureManager features)
{
    public const string ExperimentalFlags = "experimental_flags";

    /// <summary>Goes on to <paramref name="next"/>, or answers 404 where the feature of the route is off for the caller.</summary>
    public Task Pass(HttpContext http, RequestDelegate next)
    {
        if (http.GetEndpoint()?.Metadata.GetMetadata<Required>() is not { } gate)
        {
            return next(http);
        }

        // Without a task of its own where the answer stands at once, as it does for all but filters that ask somebody else.
        var enabled = features.IsEnabledAsync(gate.Feature, Audience(http));
        return Known(enabled) is { } isKnown ? Enter(isKnown) : Wait();

        Task Enter(bool isEnabled) => isEnabled ? next(http) : BufferedResponse.Of(Problem.GateClosed).ExecuteAsync(http);

        async Task Wait() => await Enter(await enabled);
    }

    private static bool? Known(Task<bool> task) => task.IsCompletedSuccessfully ? task.Result : null;

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

/// <summary>Puts routes behind a gate.</summary>
internal static class FeatureGateSetup
{
    /// <summary>Answers 404 on every route of the group while the feature is off for the caller.</summary>
    public static RouteGroupBuilder RequireFeature(this RouteGroupBuilder group, string feature) =>
        group.WithMetadata(new FeatureGate.Required(feature));

    public static void UseFeatureGate(this IApplicationBuilder app) =>
        app.Use(app.ApplicationServices.GetRequiredService<FeatureGate>().Pass);
}
