using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>An environment as the evaluation engine of Flagsmith's SDKs reads it.</summary>
/// <param name="Id">The id of the environment.</param>
/// <param name="ApiKey">A name of the environment, which the engine hashes with identifiers.</param>
/// <param name="Name">The same.</param>
/// <param name="Project">The segments: one for each rollout that does not include everyone.</param>
/// <param name="FeatureStates">The features as they are for whoever is in no segment.</param>
/// <param name="IdentityOverrides">Always empty.</param>
[Example(
    """
        {"id": 1, "api_key": "environment-1", "name": "environment-1", "project": {"id": 1, "segments": []},
         "feature_states": [{"feature": {"id": 1, "name": "button_colour", "type": "MULTIVARIATE"}, "enabled": true,
             "featurestate_uuid": "0b6f8e0e6d3f4a6e9a550a4a6f2b8c11", "feature_state_value": "blue",
             "multivariate_feature_state_values": [{"id": 1, "percentage_allocation": 50,
                 "multivariate_feature_option": {"id": 1, "value": "green"}}]}], "identity_overrides": []}
        """
)]
internal sealed record EnvironmentDocument(
    long Id,
    string ApiKey,
    string Name,
    JsonNode Project,
    IReadOnlyList<JsonNode> FeatureStates,
    IReadOnlyList<string> IdentityOverrides
)
{
    public static EnvironmentDocument Of(IReadOnlyList<SnapshotRow> rows, long environmentId)
    {
        var name = FlagsmithHashing.EnvironmentName(environmentId);
        var project = new JsonObject
        {
            ["id"] = 1,
            ["name"] = "project",
            ["hide_disabled_flags"] = false,
            // The engine demands it, and does not use it.
            ["organisation"] = new JsonObject(),
            ["segments"] = new JsonArray([.. rows.Where(IsPartial).Select(Segment)]),
        };
        return new(environmentId, name, name, project, [.. rows.Select(Outside)], []);
    }

    // Whether the engine can assign it.
    private static bool IsAssigned(SnapshotRow row) => row is { Enabled: true, ExperimentId: not null, Hashing: FlagsmithHashing.Name };

    private static bool IsPartial(SnapshotRow row) => IsAssigned(row) && row.RolloutPercentage is > 0 and < 100;

    // Whoever the rollout of an experiment includes. The engine hashes the id of the segment, which is that of the experiment.
    private static JsonObject Segment(SnapshotRow row)
    {
        var included = new JsonObject
        {
            ["operator"] = "PERCENTAGE_SPLIT",
            ["property_"] = null,
            ["value"] = row.RolloutPercentage!.Value.ToString(CultureInfo.InvariantCulture),
        };
        return new()
        {
            ["id"] = row.ExperimentId,
            ["name"] = row.ExperimentName,
            ["rules"] = new JsonArray(Rule([], Rule([included]))),
            ["feature_states"] = new JsonArray(Inside(row)),
        };
    }

    private static JsonObject Rule(JsonArray conditions, params JsonNode[] rules) =>
        new()
        {
            ["type"] = "ALL",
            ["conditions"] = conditions,
            ["rules"] = new JsonArray(rules),
        };

    private static JsonObject Outside(SnapshotRow row) =>
        IsAssigned(row) && row.RolloutPercentage >= 100
            ? Inside(row)
            : State(row, $"feature-{row.FeatureId}", row.InitialValue is null ? null : StoredJson.Parse(row.InitialValue), []);

    private static JsonObject Inside(SnapshotRow row)
    {
        var variants = StoredJson.Variants(row.Variants!);
        return State(row, row.Salt!, variants[0].Value, [.. variants.Index().Skip(1).Select(one => Variant(one.Index, one.Item))]);
    }

    // The engine hashes the id of the state, and takes the variants in the order of theirs.
    private static JsonObject State(SnapshotRow row, string id, JsonNode? value, JsonArray variants) =>
        new()
        {
            ["feature"] = FlagsmithFormat.Feature(row),
            ["enabled"] = row.Enabled,
            ["featurestate_uuid"] = id,
            ["feature_state_value"] = FlagsmithFormat.Value(value),
            ["multivariate_feature_state_values"] = variants,
        };

    private static JsonObject Variant(int id, (string Key, JsonNode? Value, decimal Weight) variant) =>
        new()
        {
            ["id"] = id,
            ["percentage_allocation"] = variant.Weight,
            ["multivariate_feature_option"] = new JsonObject { ["id"] = id, ["value"] = FlagsmithFormat.Value(variant.Value) },
        };
}
