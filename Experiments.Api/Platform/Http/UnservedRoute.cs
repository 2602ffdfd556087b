using Experiments.Api.Platform.Access;
using Microsoft.AspNetCore.Routing.Template;
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

        var methods = HttpMethods.IsOptions(http.Request.Method) ? MethodsOf(http) : [];
        http.Response.StatusCode = methods.Length == 0 ? StatusCodes.Status404NotFound : StatusCodes.Status405MethodNotAllowed;
        if (methods.Length > 0)
        {
            http.Response.Headers.Allow = methods;
        }

        return Task.CompletedTask;
    }

    // Routing finds nothing for a preflight of a method that the path does not have.
    private static string[] MethodsOf(HttpContext http) =>
        [
            .. http
                .RequestServices.GetRequiredService<EndpointDataSource>()
                .Endpoints.OfType<RouteEndpoint>()
                .Where(route => new TemplateMatcher(new RouteTemplate(route.RoutePattern), []).TryMatch(http.Request.Path, []))
                .SelectMany(route => route.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? [])
                .Distinct()
                .Order(StringComparer.Ordinal),
        ];
}
