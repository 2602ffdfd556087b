using System.Text.Json.Nodes;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>A flag as an item of the Flagsmith SDK API's <c>flags</c>.</summary>
internal static class FlagsmithFormat
{
    public static byte[] Write(SnapshotRow row, EvaluatedFlag outcome) =>
        StoredJson.Utf8(
            new JsonObject
            {
                ["id"] = row.FeatureId,
                ["enabled"] = row.Enabled,
                ["feature_state_value"] = Value(outcome.Value),
                ["feature"] = Feature(row),
                ["variant"] = outcome.Variant,
                ["reason"] = outcome.Reason,
                ["metadata"] = row.ExperimentId is null
                    ? outcome.AddTo([])
                    : new JsonObject
                    {
                        ["experiment"] = outcome.AddTo(
                            new JsonObject
                            {
                                ["id"] = row.ExperimentId,
                                ["name"] = row.ExperimentName,
                                ["in_experiment"] = outcome.Variant is not null,
                            }
                        ),
                    },
            }
        );

    /// <summary>Which feature it is.</summary>
    public static JsonObject Feature(SnapshotRow row) =>
        new()
        {
            ["id"] = row.FeatureId,
            ["name"] = row.FeatureName,
            ["type"] = row.IsMultivariate ? "MULTIVARIATE" : "STANDARD",
        };

    /// <summary>A value. Flagsmith's clients have strings, numbers and booleans, and parse an object from a string on request.</summary>
    public static JsonNode? Value(JsonNode? value) => value is JsonObject or JsonArray ? StoredJson.Text(value) : value?.DeepClone();
}
