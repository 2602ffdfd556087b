namespace Experiments.Api.Platform.Http;

/// <summary>What browsers are told about pages: nothing comes from elsewhere, and nobody else may show them in a frame.</summary>
internal static class PageSecurity
{
    // The API reference has its script and its styles in the page.
    private const string Policy =
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        + "font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static T AsPage<T>(this T pages)
        where T : IEndpointConventionBuilder => pages.With(Policy);

    /// <summary>The pages of the product: everything in them comes from files of the service, and nothing is inline.</summary>
    /// <param name="pages">Their routes.</param>
    /// <param name="origins">Where else they may send requests: to the provider with which people sign in.</param>
    public static T AsApplication<T>(this T pages, IEnumerable<string> origins)
        where T : IEndpointConventionBuilder =>
        pages.With(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; "
                + $"connect-src {string.Join(' ', origins.Prepend("'self'").Where(origin => origin.Length > 0))}; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );

    private static T With<T>(this T pages, string policy)
        where T : IEndpointConventionBuilder =>
        pages.AddEndpointFilter(
            (context, next) =>
            {
                var headers = context.HttpContext.Response.Headers;
                headers.ContentSecurityPolicy = policy;
                headers.XFrameOptions = "DENY";
                headers["Referrer-Policy"] = "no-referrer";
                return next(context);
            }
        );
}
