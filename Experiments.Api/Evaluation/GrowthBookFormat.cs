using System.Text;
using System.Text.Json.Nodes;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>
/// A flag as a member of the <c>features</c> of GrowthBook's remote evaluation. The value is forced, because it is decided here; whoever
/// takes part has a track, with which the SDK calls its tracking callback.
/// </summary>
internal static class GrowthBookFormat
{
    /// <summary>Stands where the identity goes, and nowhere else in JSON.</summary>
    public const byte Identity = 0;

    /// <summary>The value, and what to track of whoever takes part.</summary>
    public static byte[] Write(SnapshotRow row, EvaluatedFlag outcome)
    {
        var value = Value(row, outcome);
        var feature = new JsonObject { ["defaultValue"] = value?.DeepClone() };
        if (row.ExperimentId is not null && outcome.Variant is not null)
        {
            feature["rules"] = new JsonArray(
                new JsonObject
                {
                    ["id"] = $"experiment-{row.ExperimentId}",
                    ["force"] = value?.DeepClone(),
                    ["tracks"] = new JsonArray(Track(row, outcome, value)),
                }
            );
        }

        return Member(row, feature);
    }

    /// <summary>The value alone, so that whoever only looks at it is not tracked.</summary>
    public static byte[] WritePreview(SnapshotRow row, EvaluatedFlag outcome) =>
        Member(row, new JsonObject { ["defaultValue"] = Value(row, outcome)?.DeepClone() });

    // A feature that is off leaves the application its default, and one that is only on is true.
    private static JsonNode? Value(SnapshotRow row, EvaluatedFlag outcome) =>
        !row.Enabled ? null : outcome.Value ?? (row.IsMultivariate ? null : JsonValue.Create(true));

    private static byte[] Member(SnapshotRow row, JsonObject feature)
    {
        // Without the braces around it. A NUL is escaped in JSON, which makes room for the mark.
        var json = StoredJson.Text(new JsonObject { [row.FeatureName!] = feature })[1..^1];
        return Encoding.UTF8.GetBytes(json.Replace("\"\\u0000\"", "\0", StringComparison.Ordinal));
    }

    private static JsonObject Track(SnapshotRow row, EvaluatedFlag outcome, JsonNode? value)
    {
        var keys = StoredJson.Variants(row.Variants!).Select(variant => variant.Key).ToList();
        return new()
        {
            ["experiment"] = new JsonObject
            {
                ["key"] = row.FeatureName,
                ["name"] = row.ExperimentName,
                ["id"] = row.ExperimentId,
                ["variations"] = new JsonArray([.. keys.Select(key => JsonValue.Create(key))]),
            },
            ["result"] = new JsonObject
            {
                ["inExperiment"] = true,
                ["hashUsed"] = true,
                ["variationId"] = keys.IndexOf(outcome.Variant!),
                ["key"] = outcome.Variant,
                ["value"] = value?.DeepClone(),
                ["hashAttribute"] = row.UnitKey ?? "id",
                ["hashValue"] = "\0",
                ["featureId"] = row.FeatureName,
            },
        };
    }
}
