namespace Experiments.Api.Platform.Http;

/// <summary>What browsers are told about pages: nothing comes from elsewhere, and nobody else may show them in a frame.</summary>
internal static class PageSecurity
{
    // The API reference has its script and its styles in the page.
    private const string Policy =
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        + "font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static T AsPage<T>(this T pages)
        where T : IEndpointConventionBuilder =>
        pages.AddEndpointFilter(
            (context, next) =>
            {
                var headers = context.HttpContext.Response.Headers;
                headers.ContentSecurityPolicy = Policy;
                headers.XFrameOptions = "DENY";
                headers["Referrer-Policy"] = "no-referrer";
                return next(context);
            }
        );
}
