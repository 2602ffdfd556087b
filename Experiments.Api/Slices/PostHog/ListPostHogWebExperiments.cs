using System.Text.Json;
using System.Text.Json.Nodes;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;

namespace Experiments.Api.Slices.PostHog;

/// <summary>
/// The web experiments that are running, as posthog-js applies them: the variant is that of the flag, and the exposure that of the flag.
/// It changes HTML and CSS; other transforms are for scripts of one's own.
/// </summary>
internal static class ListPostHogWebExperiments
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Get, "/api/web_experiments", Handle, source: KeySource.Query)
            .WithOperation("postHogWebExperiments", "Running web experiments, for posthog-js")
            .Returns<Response>();

    [Example(
        """
            {"experiments": [{"id": 1, "name": "Headline", "feature_flag_key": "headline", "variants": {
                "control": {"transforms": []}, "test": {"transforms": [{"selector": "h1", "html": "Save time"}]}}}]}
            """
    )]
    internal sealed record Response(IReadOnlyList<PostHogWebExperiment> Experiments);

    /// <summary>A web experiment that is running.</summary>
    /// <param name="Id">The id of the experiment.</param>
    /// <param name="Name">Its name.</param>
    /// <param name="FeatureFlagKey">The flag whose variant decides.</param>
    /// <param name="Variants">What each variant changes, by its key.</param>
    internal sealed record PostHogWebExperiment(
        long Id,
        string Name,
        string FeatureFlagKey,
        IReadOnlyDictionary<string, PostHogWebVariant> Variants
    );

    /// <summary>What a variant changes on a page.</summary>
    /// <param name="Transforms">The changes. posthog-js applies <c>html</c> and <c>css</c>.</param>
    internal sealed record PostHogWebVariant(IReadOnlyList<Transform> Transforms);

    private static Task Handle(HttpContext http, Snapshot snapshot)
    {
        var experiments = JsonNode.Parse(snapshot.WebExperiments.Span)!["experiments"]!.AsArray();
        foreach (var experiment in experiments.Select(one => one!.AsObject()))
        {
            experiment["feature_flag_key"] = experiment["feature_name"]!.DeepClone();
            experiment.Remove("feature_name");
            experiment.Remove("rollout_percentage");
            foreach (var transform in experiment["variants"]!.AsObject().SelectMany(variant => variant.Value!["transforms"]!.AsArray()))
            {
                // Text has no markup, and is HTML once it is escaped.
                if (transform!["html"] is null && transform["text"] is JsonValue text && text.TryGetValue<string>(out var plain))
                {
                    transform["html"] = System.Net.WebUtility.HtmlEncode(plain);
                }
            }
        }

        return ServedResponse.Write(
            http,
            JsonSerializer.SerializeToUtf8Bytes(new JsonObject { ["experiments"] = experiments.DeepClone() })
        );
    }
}
