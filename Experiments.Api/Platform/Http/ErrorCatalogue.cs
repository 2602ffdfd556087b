using System.Globalization;
using System.Net;
using System.Text;
using Experiments.Api.Platform.Access;
using Microsoft.AspNetCore.WebUtilities;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Every <see cref="Problem"/> that the service can answer with: as the page <c>/errors</c>, to which the <c>type</c> of a problem leads,
/// and as <c>docs/errors.md</c>.
/// </summary>
internal static class ErrorCatalogue
{
    private const string Path = "/errors";

    private const string Introduction =
        "Errors are problem details (RFC 9457). Branch on the code, which never changes; show or log the detail. "
        + "If fields of the request are invalid, 'errors' has messages for each. The service log contains the trace_id.";

    private static readonly Lazy<byte[]> Page = new(() => Encoding.UTF8.GetBytes(Html()));

    /// <summary>The address that explains a problem, relative to the service.</summary>
    public static string TypeOf(Problem problem) => $"{Path}#{problem.Code}";

    public static void MapErrorCatalogue(this IEndpointRouteBuilder app) =>
        app.MapGet(
                Path,
                () => BufferedResponse.OfBytes(StatusCodes.Status200OK, Page.Value) with { ContentType = "text/html; charset=utf-8" }
            )
            .AsPage()
            .RequireAuthorization(Policies.Everyone)
            .ExcludeFromDescription();

    public static string Markdown()
    {
        var text = new StringBuilder("# Errors\n\n").Append(Introduction).Append("\n\n| status | code | what to do |\n|---|---|---|\n");
        foreach (var problem in Problem.All)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {problem.Status} | `{problem.Code}` | {problem.Advice} |\n");
        }

        return text.ToString();
    }

    private static string Html()
    {
        var text = new StringBuilder(
            """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Errors - Experiments</title>
            <link rel="icon" href="data:,">
            <style>
              :root { color-scheme: light dark; }
              body { max-width: 46rem; margin: 3rem auto; padding: 0 1rem; font: 1rem/1.55 system-ui, sans-serif; }
              section { padding: .75rem 1rem; border-left: 3px solid #8884; margin: 1rem 0; }
              section:target { border-color: #2563eb; background: #2563eb14; }
              h2 { font-size: 1rem; margin: 0; }
              h2 a { color: inherit; text-decoration: none; font-family: ui-monospace, monospace; }
              p { margin: .25rem 0 0; }
              small { opacity: .7; }
            </style>
            <h1>Errors</h1>

            """
        ).Append(CultureInfo.InvariantCulture, $"<p>{WebUtility.HtmlEncode(Introduction)}</p>\n");
        foreach (var problem in Problem.All)
        {
            var reason = ReasonPhrases.GetReasonPhrase(problem.Status);
            text.Append(
                CultureInfo.InvariantCulture,
                $"<section id=\"{problem.Code}\"><h2><a href=\"#{problem.Code}\">{problem.Code}</a></h2>"
                    + $"<small>{problem.Status} {reason}</small><p>{WebUtility.HtmlEncode(problem.Advice)}</p></section>\n"
            );
        }

        return text.ToString();
    }
}
