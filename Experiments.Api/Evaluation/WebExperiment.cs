using System.Text.Json.Nodes;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>
/// A web experiment as a page reads it: what each of its variants changes. To choose the variant is for the flag of the same name.
/// </summary>
internal static class WebExperiment
{
    /// <summary>Those among what is running, as JSON.</summary>
    public static byte[] List(IEnumerable<SnapshotRow> rows) =>
        StoredJson.Utf8(
            new JsonObject
            {
                // A flag that is off serves its own value, whatever runs on it.
                ["experiments"] = new JsonArray([.. rows.Where(row => row is { ExperimentType: "web", Enabled: true }).Select(Of)]),
            }
        );

    private static JsonObject Of(SnapshotRow row)
    {
        var transforms = StoredJson.Parse(row.Transforms!)!.AsObject();
        var variants = new JsonObject();
        foreach (var (key, _, weight) in StoredJson.Variants(row.Variants!))
        {
            variants[key] = new JsonObject
            {
                ["transforms"] = transforms[key]?.DeepClone() ?? new JsonArray(),
                ["rollout_percentage"] = weight,
            };
        }

        return new()
        {
            ["id"] = row.ExperimentId,
            ["name"] = row.ExperimentName,
            ["feature_name"] = row.FeatureName,
            ["rollout_percentage"] = row.RolloutPercentage,
            ["variants"] = variants,
        };
    }
}
