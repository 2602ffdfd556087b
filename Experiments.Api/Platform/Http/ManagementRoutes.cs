using System.Reflection;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Maps the routes of slices. Their handlers take only a <see cref="RequestContext"/>, so they don't need the parameter binding of minimal
/// APIs, which allocates several tasks per request.
/// </summary>
internal static class ManagementRoutes
{
    // OpenAPI only includes endpoints with a method in their metadata. This one has no parameters, because routes declare theirs
    // themselves.
    private static readonly MethodInfo Described = ((Delegate)Describe).Method;

    public static RouteHandlerBuilder MapGet(this RouteGroupBuilder routes, string pattern, Func<RequestContext, Task<IResult>> handler) =>
        routes.Map(HttpMethods.Get, pattern, handler);

    public static RouteHandlerBuilder MapPost(this RouteGroupBuilder routes, string pattern, Func<RequestContext, Task<IResult>> handler) =>
        routes.Map(HttpMethods.Post, pattern, handler);

    public static RouteHandlerBuilder MapPatch(
        this RouteGroupBuilder routes,
        string pattern,
        Func<RequestContext, Task<IResult>> handler
    ) => routes.Map(HttpMethods.Patch, pattern, handler);

    public static RouteHandlerBuilder MapPut(this RouteGroupBuilder routes, string pattern, Func<RequestContext, Task<IResult>> handler) =>
        routes.Map(HttpMethods.Put, pattern, handler);

    public static RouteHandlerBuilder MapDelete(
        this RouteGroupBuilder routes,
        string pattern,
        Func<RequestContext, Task<IResult>> handler
    ) => routes.Map(HttpMethods.Delete, pattern, handler);

    private static RouteHandlerBuilder Map(
        this RouteGroupBuilder routes,
        string method,
        string pattern,
        Func<RequestContext, Task<IResult>> handler
    )
    {
        var limiter = ((IEndpointRouteBuilder)routes).ServiceProvider.GetRequiredService<CallerLimiter>();
        return new([
            routes
                .MapMethods(
                    pattern,
                    [method],
                    async http =>
                    {
                        if (!limiter.Allows(http))
                        {
                            await BufferedResponse.Of(Problem.TooMany).ExecuteAsync(http);
                            return;
                        }

                        if (http.Request.QueryString.HasValue && Unknown(http) is { } unknown)
                        {
                            await BufferedResponse
                                .Of(ProblemResult.Field(unknown, "This endpoint has no such parameter."))
                                .ExecuteAsync(http);
                            return;
                        }

                        var turn = await limiter.Turn(http);
                        try
                        {
                            await (await handler(new RequestContext(http))).ExecuteAsync(http);
                        }
                        finally
                        {
                            limiter.End(turn, http);
                        }
                    }
                )
                .WithMetadata(Described, new Documentation.SliceOf(SliceOf(handler.Method.DeclaringType!))),
        ]);
    }

    // A lambda belongs to a class that the compiler nests in the slice.
    private static Type SliceOf(Type type) => type.DeclaringType ?? type;

    // The first parameter of the query that the operation does not have.
    private static string? Unknown(HttpContext http)
    {
        var metadata = http.GetEndpoint()!.Metadata;
        if (metadata.GetMetadata<AnyQuery>() is not null)
        {
            return null;
        }

        var known = metadata.GetOrderedMetadata<Documentation.Parameter>();
        return http.Request.Query.Keys.FirstOrDefault(name => !known.Any(parameter => parameter.Name == name));
    }

    /// <summary>Marks routes whose clients send parameters that mean nothing here.</summary>
    internal sealed record AnyQuery;

    private static Task<IResult> Describe() => throw new NotSupportedException();
}
