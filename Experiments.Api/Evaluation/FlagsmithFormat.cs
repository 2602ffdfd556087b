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
                // Flagsmith clients support strings, numbers and booleans, and parse an object from a string on request.
                ["feature_state_value"] = outcome.Value is JsonObject or JsonArray
                    ? StoredJson.Text(outcome.Value)
                    : outcome.Value?.DeepClone(),
                ["feature"] = new JsonObject
                {
                    ["id"] = row.FeatureId,
                    ["name"] = row.FeatureName,
                    ["type"] = row.IsMultivariate ? "MULTIVARIATE" : "STANDARD",
                },
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
}
