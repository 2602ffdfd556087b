using System.Text.Json.Nodes;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>
/// A flag as a member of PostHog's <c>flags</c>. The variant is what the SDK answers; the value is the payload, as JSON in a string.
/// Whoever is held out has a variant of its own, as in PostHog, so that the SDK reports the exposure.
/// </summary>
internal static class PostHogFormat
{
    public static byte[] Write(SnapshotRow row, EvaluatedFlag outcome)
    {
        var (code, description) = Reason(row, outcome);
        var flag = new JsonObject
        {
            ["key"] = row.FeatureName,
            ["enabled"] = row.Enabled,
            ["variant"] = outcome.Variant ?? (outcome.Holdout is { } holdout && row.ExperimentId is not null ? $"holdout-{holdout}" : null),
            ["reason"] = new JsonObject
            {
                ["code"] = code,
                ["condition_index"] = 0,
                ["description"] = description,
            },
            ["metadata"] = new JsonObject
            {
                ["id"] = row.FeatureId,
                ["version"] = 1,
                ["has_experiment"] = row.ExperimentId is not null,
                ["payload"] = row.Enabled && outcome.Value is not null ? StoredJson.Text(outcome.Value) : null,
            },
        };
        return [.. StoredJson.Utf8(JsonValue.Create(row.FeatureName)!), (byte)':', .. StoredJson.Utf8(flag)];
    }

    private static (string Code, string Description) Reason(SnapshotRow row, EvaluatedFlag outcome) =>
        !row.Enabled ? ("disabled", "The flag is off.")
        : outcome.Holdout is not null ? ("holdout_condition_value", "Held out.")
        : outcome.Variant is not null ? ("condition_match", row.ExperimentId is null ? "By percentages." : $"In '{row.ExperimentName}'.")
        : row.ExperimentId is not null ? ("out_of_rollout_bound", $"Not in '{row.ExperimentName}'.")
        : ("condition_match", "For everyone.");
}
