using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.PostHog;

/// <summary>
/// What posthog-js asks first: that flags and gzip are served here, and that recordings, surveys and the rest of PostHog are not, so that
/// the page loads no script for them.
/// </summary>
internal static class GetPostHogConfig
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes
            .MapServed(HttpMethods.Get, "/array/{key}/config", Handle, source: KeySource.Path)
            .WithOperation("postHogConfig", "What is served here (posthog-js)")
            .Returns<JsonObject>();
        // As a script, which no preflight delays.
        routes
            .MapServed(HttpMethods.Get, "/array/{key}/config.js", HandleScript, source: KeySource.Path)
            .WithOperation("postHogConfigScript", "The same as a script (posthog-js)")
            .ReturnsFile("text/javascript", "({config:{}})");
    }

    /// <summary>What is served here, and what is not. There is no <c>surveys</c>, because even <c>false</c> would load a script.</summary>
    internal sealed record Settings(
        [property: JsonPropertyName("supportedCompression")] IReadOnlyList<string> SupportedCompression,
        [property: JsonPropertyName("hasFeatureFlags")] bool HasFeatureFlags = true,
        bool AutocaptureOptOut = true,
        [property: JsonPropertyName("sessionRecording")] bool SessionRecording = false,
        bool Heatmaps = false,
        [property: JsonPropertyName("captureDeadClicks")] bool CaptureDeadClicks = false,
        [property: JsonPropertyName("capturePerformance")] bool CapturePerformance = false,
        [property: JsonPropertyName("autocaptureExceptions")] bool AutocaptureExceptions = false,
        [property: JsonPropertyName("productTours")] bool ProductTours = false,
        bool Conversations = false,
        [property: JsonPropertyName("siteApps")] IReadOnlyList<string>? SiteApps = null,
        [property: JsonPropertyName("isAuthenticated")] bool IsAuthenticated = false,
        [property: JsonPropertyName("elementsChainAsString")] bool ElementsChainAsString = true
    )
    {
        public static readonly Settings OfThisService = new(["gzip-js"], SiteApps: []);
    }

    private static readonly byte[] Bytes = JsonSerializer.SerializeToUtf8Bytes(Settings.OfThisService, ApiJson.Options);

    private static Task Handle(HttpContext http, Snapshot snapshot) => ServedResponse.Write(http, Bytes);

    private static Task HandleScript(HttpContext http, Snapshot snapshot)
    {
        // The key is one of an environment, which has no characters that a script would need escaped.
        var script =
            "(window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{})"
            + $"[\"{http.GetRouteValue("key")}\"]={{config:{Encoding.UTF8.GetString(Bytes)},siteApps:[]}}";
        return ServedResponse.Write(http, Encoding.UTF8.GetBytes(script), contentType: "text/javascript; charset=utf-8");
    }
}
