using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Refuses what is too large, and what needs a database that is not there yet. It comes after the CORS middleware, so that the pages of a
/// front end can read the refusal. Served routes refuse large bodies themselves, in the format of their protocol.
/// </summary>
internal sealed class EarlyRefusalMiddleware(RequestDelegate next, Readiness readiness)
{
    // Nearly every request just passes, so it does not pay for an asynchronous method.
    public Task InvokeAsync(HttpContext context) =>
        context.Request.ContentLength > RequestBody.Limit && !EnvironmentKeyRoute.IsFor(context) ? RefuseBody(context)
        : !readiness.HasSchema && NeedsSchema(context) ? BufferedResponse.Of(Problem.Unavailable).ExecuteAsync(context)
        : next(context);

    private static async Task RefuseBody(HttpContext context)
    {
        await RequestBody.Discard(context.Request, context.RequestAborted);
        await BufferedResponse.Of(Problem.TooLarge).ExecuteAsync(context);
    }

    private static bool NeedsSchema(HttpContext context) =>
        context.Request.Path.StartsWithSegments("/api")
        || context.Request.Path.StartsWithSegments("/flagsmith")
        || EnvironmentKeyRoute.IsFor(context);
}
