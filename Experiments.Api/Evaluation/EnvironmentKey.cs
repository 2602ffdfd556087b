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

    /// <summary>
    /// Maps a route whose key is in the body, so that it is given the snapshots and calls <see cref="Find"/> when it has read that.
    /// </summary>
    public static RouteHandlerBuilder MapServedByBody(
        this IEndpointRouteBuilder routes,
        string pattern,
        Func<HttpContext, Snapshots, Task> answer
    )
    {
        var snapshots = routes.ServiceProvider.GetRequiredService<Snapshots>();
        return routes
            .MapMethods(pattern, [HttpMethods.Post], (Delegate)((HttpContext http) => answer(http, snapshots)))
            .RequireCors(Cors)
            .WithMetadata(new EnvironmentKeyRoute { Source = KeySource.Body });
    }

    /// <summary>The environment that has this key, or that of the header, or why there is none.</summary>
    public static async ValueTask<Result<Snapshot>> Find(HttpContext http, Snapshots snapshots, string? inBody)
    {
        if ((inBody ?? OutsideOfBody(http.Request)) is not { } key)
        {
            return Problem.NoEnvironmentKey;
        }

        TellAge(http, snapshots);
        return await snapshots.Find(key, http.RequestAborted) is { } snapshot ? snapshot : Problem.UnknownEnvironmentKey;
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

        TellAge(http, snapshots);
        return snapshots.Known(key) is { } snapshot ? answer(http, snapshot) : AdmitFirst(http, snapshots, key, answer, refuse);
    }

    private static void TellAge(HttpContext http, Snapshots snapshots)
    {
        if (snapshots.AreStale)
        {
            http.Response.Headers["Snapshot-Age"] = ((long)snapshots.Age.TotalSeconds).ToString(
                System.Globalization.CultureInfo.InvariantCulture
            );
        }
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

    /// <summary>The key that the header or the query says, or null.</summary>
    public static string? OutsideOfBody(HttpRequest request) => Of(request, KeySource.Query);

    private static string? Of(HttpRequest request, KeySource source) =>
        // What is in the path is what the request is about.
        source == KeySource.Path
            ? request.RouteValues["key"] as string
        : request.Headers[EnvironmentKeyRoute.Header] is [{ Length: > 0 } key] ? key
        : source switch
        {
            KeySource.Query => Queried(request, EnvironmentKeyRoute.Query) ?? Queried(request, "token"),
            KeySource.Credentials => Credential(request.Headers),
            _ => null,
        };

    private static string? Queried(HttpRequest request, string name) => request.Query[name] is [{ Length: > 0 } queried] ? queried : null;

    private static string? Credential(IHeaderDictionary headers) =>
        headers["X-API-Key"] is [{ Length: > 0 } key] ? key
        : headers.Authorization is [{ } bearer] && bearer.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? bearer[7..].Trim()
        : null;
}
