using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;

namespace Experiments.Api.Slices.Flags;

/// <summary>
/// The web experiments that are running, with what each variant changes on a page. HTML and CSS are given back as they were stored.
/// </summary>
internal static class ListWebExperiments
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Get, "/web-experiments", Handle)
            .WithOperation("listWebExperiments", "Running web experiments, for a page")
            .Returns<Response>();

    [Example(
        """
            {"experiments": [{"id": 1, "name": "Headline", "feature_name": "headline", "rollout_percentage": 100, "variants": {
                "control": {"transforms": [], "rollout_percentage": 50},
                "test": {"transforms": [{"selector": "h1", "text": "Save time"}], "rollout_percentage": 50}}}]}
            """
    )]
    internal sealed record Response(IReadOnlyList<WebExperimentView> Experiments);

    /// <summary>A web experiment that is running.</summary>
    internal sealed record WebExperimentView(
        long Id,
        string Name,
        string FeatureName,
        decimal RolloutPercentage,
        IReadOnlyDictionary<string, WebVariant> Variants
    );

    /// <summary>What a variant changes on a page.</summary>
    internal sealed record WebVariant(IReadOnlyList<Transform> Transforms, decimal RolloutPercentage);

    private static Task Handle(HttpContext http, Snapshot snapshot) =>
        ServedResponse.Write(http, snapshot.WebExperiments, ServedResponse.Tag(snapshot, "web"u8));
}
