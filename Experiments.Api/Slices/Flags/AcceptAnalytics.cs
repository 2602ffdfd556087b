using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>
/// Takes how often each flag was evaluated, which Flagsmith's SDKs send on their own, and keeps nothing of it: what counts here are
/// exposures.
/// </summary>
internal static class AcceptAnalytics
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Post, "/analytics/flags", Handle)
            .WithOperation("postFlagAnalytics", "Take usage counts of flags, and keep nothing")
            .HasBody<JsonDocumentBody>("""{"button_colour": 3}""")
            .Returns<Response>()
            .FailsWith(Problem.Malformed);

    /// <summary>Nothing.</summary>
    [Example("{}")]
    internal sealed record Response;

    private static async Task Handle(HttpContext http, Snapshot snapshot)
    {
        var body = await JsonBody.Read<JsonDocumentBody>(http.Request, required: false);
        await (
            body.Failure is { } refusal
                ? BufferedResponse.Of(refusal).ExecuteAsync(http)
                : BufferedResponse.Of(StatusCodes.Status200OK, new Response()).ExecuteAsync(http)
        );
    }
}
