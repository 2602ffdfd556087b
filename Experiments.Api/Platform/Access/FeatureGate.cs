using Experiments.Api.Platform.Http;
using Microsoft.FeatureManagement;
using Microsoft.FeatureManagement.FeatureFilters;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// The gate through which the service is rolled out. The library's own filter finds the caller through an IHttpContextAccessor, which slows
/// down every await of every request. Here the caller is passed in.
/// </summary>
internal sealed class FeatureGate(IFeatureManager features)
{
    public const string ExperimentalFlags = "experimental_flags";

    /// <summary>Calls <paramref name="next"/>, or returns 404 if the feature of the route is off for the caller.</summary>
    public Task Pass(HttpContext http, RequestDelegate next)
    {
        if (http.GetEndpoint()?.Metadata.GetMetadata<Required>() is not { } gate)
        {
            return next(http);
        }

        // Most feature filters complete synchronously. Then no task is needed.
        var enabled = features.IsEnabledAsync(gate.Feature, Audience(http));
        return Known(enabled) is { } isKnown ? Enter(isKnown) : Wait();

        Task Enter(bool isEnabled) => isEnabled ? next(http) : BufferedResponse.Of(Problem.GateClosed).ExecuteAsync(http);

        async Task Wait() => await Enter(await enabled);
    }

    /// <summary>Whether the feature is on for the caller in an environment other than that of the route.</summary>
    public Task<bool> IsOpen(string feature, Actor actor, EnvironmentScope scope) =>
        features.IsEnabledAsync(feature, Audience(actor.Name, scope));

    private static bool? Known(Task<bool> task) => task.IsCompletedSuccessfully ? task.Result : null;

    // The caller as the user, and the organisation, the project and the environment as groups.
    private static TargetingContext Audience(HttpContext http)
    {
        var user = Actor.Of(http.User).Name;
        return http.Features.Get<EnvironmentScope>() is { } scope ? Audience(user, scope) : new() { UserId = user };
    }

    private static TargetingContext Audience(string user, EnvironmentScope scope) =>
        new() { UserId = user, Groups = [scope.Organisation, scope.Project, scope.Key] };

    /// <summary>Marks a route that requires a feature.</summary>
    internal sealed record Required(string Feature);
}

/// <summary>Adds the gate to routes and to the pipeline.</summary>
internal static class FeatureGateSetup
{
    /// <summary>Returns 404 from every route of the group while the feature is off for the caller.</summary>
    public static RouteGroupBuilder RequireFeature(this RouteGroupBuilder group, string feature) =>
        group.WithMetadata(new FeatureGate.Required(feature));

    public static void UseFeatureGate(this IApplicationBuilder app) =>
        app.Use(app.ApplicationServices.GetRequiredService<FeatureGate>().Pass);
}
