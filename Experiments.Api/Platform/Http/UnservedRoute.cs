using Experiments.Api.Platform.Access;
using Microsoft.Net.Http.Headers;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Requests for a path that does not exist, or with a method that it does not have. They are answered before anybody is asked who they are:
/// a credential would not help.
/// </summary>
internal static class UnservedRoute
{
    // The name of the endpoint that routing finds for a path that exists with other methods.
    private const string WrongMethod = "405 HTTP Method Not Supported";

    public static bool Is(HttpContext http) => http.GetEndpoint() is null or { DisplayName: WrongMethod };

    /// <summary>Answers 404, or 405 with the methods that there are. Browsers may read it where applications are served.</summary>
    public static Task Answer(HttpContext http)
    {
        if (EnvironmentKeyRoute.Covers(http.Request.Path))
        {
            http.Response.Headers[HeaderNames.AccessControlAllowOrigin] = "*";
        }

        if (http.GetEndpoint() is { RequestDelegate: { } refuse })
        {
            return refuse(http);
        }

        http.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }
}
