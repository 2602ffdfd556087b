using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.FeatureManagement.AspNetCore;
using Microsoft.FeatureManagement.FeatureFilters;

namespace Experiments.Api.Platform.Access;

/// <summary>The gate through which the service is rolled out.</summary>
internal static class FeatureGate
{
    public const string ExperimentalFlags = "experimental_flags";

    /// <summary>Answers 404 on every route of the group while the gate is closed to the caller.</summary>
    public static RouteGroupBuilder RequireFeature(this RouteGroupBuilder group, string feature)
    {
        // The library's filter answers a bare 404, which nothing else in the group does.
        group.AddEndpointFilter(async (context, next) =>
        {
            context.HttpContext.RequestServices.GetRequiredService<Audience>().Http = context.HttpContext;
            return await next(context) is var answer && answer is NotFound ? Wire.Answer.Of(Problem.GateClosed) : answer;
        });
        group.WithFeatureGate(feature);
        return group.WithMetadata(new Required(feature));
    }

    /// <summary>Marks a route that stands behind a gate.</summary>
    internal sealed record Required(string Feature);

    /// <summary>Whom the gate is asked for: the caller, and the organisation, the project and the environment as groups.</summary>
    internal sealed class Audience : ITargetingContextAccessor
    {
        /// <summary>The request that is at the gate. Set by the gate itself; an IHttpContextAccessor would cost every request more.</summary>
        public HttpContext? Http { get; set; }

        public ValueTask<TargetingContext> GetContextAsync()
        {
            var scope = Http?.Features.Get<EnvironmentScope>();
            return new(new TargetingContext
            {
                UserId = Http is null ? "" : Actor.Of(Http.User).Name,
                Groups = scope is null ? [] : [scope.Organisation, scope.Project, scope.Key],
            });
        }
    }
}
