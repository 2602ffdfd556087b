using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Refuses what is too large, and what needs a database that is not there yet. It comes after the CORS middleware, so that the pages of a
/// front end can read the refusal.
/// </summary>
internal sealed class EarlyRefusalMiddleware(RequestDelegate next, Readiness readiness)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (request.ContentLength > RequestBody.Limit && !IsServed(request.Path))
        {
            await RequestBody.Discard(request, context.RequestAborted);
            await BufferedResponse.Of(Problem.TooLarge).ExecuteAsync(context);
        }
        else if (!readiness.HasSchema && NeedsSchema(request.Path))
        {
            await BufferedResponse.Of(Problem.Unavailable).ExecuteAsync(context);
        }
        else
        {
            await next(context);
        }
    }

    // Serving routes reject large bodies themselves, in the format of their protocol and with CORS headers.
    private static bool IsServed(PathString path) =>
        path.StartsWithSegments("/v1") || path.StartsWithSegments("/ofrep") || path.StartsWithSegments("/api/v1/identities");

    private static bool NeedsSchema(PathString path) =>
        path.StartsWithSegments("/api") || path.StartsWithSegments("/flagsmith") || IsServed(path);
}
