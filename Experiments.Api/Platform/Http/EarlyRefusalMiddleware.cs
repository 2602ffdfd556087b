using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Refuses what is too large, and what needs a database that is not there yet. It comes after the CORS middleware, so that the pages of a
/// front end can read the refusal. Served routes refuse large bodies themselves, in the format of their protocol.
/// </summary>
internal sealed class EarlyRefusalMiddleware(RequestDelegate next, Readiness readiness)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (request.ContentLength > RequestBody.Limit && !EnvironmentKeyRoute.IsFor(context))
        {
            await RequestBody.Discard(request, context.RequestAborted);
            await BufferedResponse.Of(Problem.TooLarge).ExecuteAsync(context);
        }
        else if (!readiness.HasSchema && NeedsSchema(context))
        {
            await BufferedResponse.Of(Problem.Unavailable).ExecuteAsync(context);
        }
        else
        {
            await next(context);
        }
    }

    private static bool NeedsSchema(HttpContext context) =>
        context.Request.Path.StartsWithSegments("/api")
        || context.Request.Path.StartsWithSegments("/flagsmith")
        || EnvironmentKeyRoute.IsFor(context);
}
