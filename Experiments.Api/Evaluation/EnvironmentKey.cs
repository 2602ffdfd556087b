using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Evaluation;

/// <summary>
/// The routes that applications call: the public key of the environment is all they need, it opens nothing else, and browsers
/// may call them from any page.
/// </summary>
internal static class EnvironmentKey
{
    /// <summary>
    /// Maps a route that is given the snapshot of the environment whose key came with the request, and writes a
    /// refusal in the form of its protocol.
    /// </summary>
    public static RouteHandlerBuilder MapServed(
        this IEndpointRouteBuilder routes,
        string method,
        string pattern,
        Func<HttpContext, Snapshot, Task> answer,
        Func<HttpContext, ProblemResult, Task>? refuse = null,
        KeySource source = KeySource.Header
    )
    {
        refuse ??= static (http, refusal) => BufferedResponse.Of(refusal).ExecuteAsync(http);
        // Taken here once, so that a request needs no scope of services.
        var snapshots = routes.ServiceProvider.GetRequiredService<Snapshots>();
        return routes
            .MapMethods(pattern, [method], (Delegate)((HttpContext http) => Admit(http, source, snapshots, answer, refuse)))
            .RequireCors(Cors)
            .WithMetadata(new EnvironmentKeyRoute { Source = source });
    }

    /// <summary>The name of what CORS allows on these routes: everything, since nothing here depends on who the browser is.</summary>
    public const string Cors = "served";

    // Written without `async`, so that a request whose snapshot is in memory costs no state machine.
    private static Task Admit(
        HttpContext http,
        KeySource source,
        Snapshots snapshots,
        Func<HttpContext, Snapshot, Task> answer,
        Func<HttpContext, ProblemResult, Task> refuse
    )
    {
        if (Of(http.Request, source) is not { } key)
        {
            return refuse(http, Problem.NoEnvironmentKey);
        }

        if (snapshots.AreStale)
        {
            http.Response.Headers["Snapshot-Age"] = ((long)snapshots.Age.TotalSeconds).ToString(
                System.Globalization.CultureInfo.InvariantCulture
            );
        }

        return snapshots.Known(key) is { } snapshot ? answer(http, snapshot) : AdmitFirst(http, snapshots, key, answer, refuse);
    }

    private static async Task AdmitFirst(
        HttpContext http,
        Snapshots snapshots,
        string key,
        Func<HttpContext, Snapshot, Task> answer,
        Func<HttpContext, ProblemResult, Task> refuse
    ) =>
        await (
            await snapshots.Find(key, http.RequestAborted) is { } snapshot
                ? answer(http, snapshot)
                : refuse(http, Problem.UnknownEnvironmentKey)
        );

    private static string? Of(HttpRequest request, KeySource source) =>
        request.Headers[EnvironmentKeyRoute.Header] is [{ Length: > 0 } key]
            ? key
            : source switch
            {
                KeySource.Query => request.Query[EnvironmentKeyRoute.Query] is [{ Length: > 0 } queried] ? queried : null,
                KeySource.Credentials => Credential(request.Headers),
                _ => null,
            };

    private static string? Credential(IHeaderDictionary headers) =>
        headers["X-API-Key"] is [{ Length: > 0 } key] ? key
        : headers.Authorization is [{ } bearer] && bearer.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? bearer[7..].Trim()
        : null;
}
