using System.Text.Json.Nodes;

namespace Experiments.Api.Evaluation;

/// <summary>A possible outcome of a flag.</summary>
/// <param name="Value">The value that is served.</param>
/// <param name="Variant">The key of the variant; null for identities that do not take part.</param>
/// <param name="Reason">Why, in the words of OpenFeature.</param>
/// <param name="Holdout">The id of the holdout that keeps the identity out.</param>
internal sealed record EvaluatedFlag(JsonNode? Value, string? Variant, string Reason, long? Holdout = null)
{
    /// <summary>Adds the holdout, if there is one.</summary>
    public JsonObject AddTo(JsonObject metadata)
    {
        if (Holdout is not null)
        {
            metadata["holdout"] = Holdout;
        }

        return metadata;
    }
}

/// <summary>The protocols in which flags are served.</summary>
internal enum FlagFormat
{
    Flagsmith,
    Ofrep,
    PostHog,
    GrowthBook,

    /// <summary>GrowthBook's, for whoever is shown a variant without taking part.</summary>
    GrowthBookPreview,
}
