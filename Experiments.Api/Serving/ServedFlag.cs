using System.Text.Json.Nodes;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Serving;

/// <summary>
/// A flag of a snapshot with everything that can come of it, written out in the form of each protocol, so that to answer is to
/// choose one of a few byte strings. Outcome 0 is the flag's own value, for whoever takes no part; the others are the variants
/// of its running experiment.
/// </summary>
internal sealed class ServedFlag
{
    /// <summary>The outcome of everyone who takes no part.</summary>
    public const int OwnValue = 0;

    private readonly RunningExperiment? _experiment;
    private readonly byte[][] _flagsmith;
    private readonly byte[][] _ofrep;

    public ServedFlag(SnapshotRow row)
    {
        Name = row.FeatureName!;
        // A flag that is off serves its own value, whatever runs on it.
        _experiment = row.Enabled ? RunningExperiment.Of(row) : null;
        var own = row.InitialValue is null ? null : StoredJson.Parse(row.InitialValue);
        var outcomes = (_experiment?.Variants ?? []).Select(variant => (Value: variant.Value, Key: (string?)variant.Key, Reason: "SPLIT"))
            .Prepend((Value: own, Key: null, Reason: row.Enabled ? "STATIC" : "DISABLED"))
            .ToList();
        _flagsmith = [.. outcomes.Select(outcome => Flagsmith(row, outcome.Value, outcome.Key, outcome.Reason))];
        _ofrep = [.. outcomes.Select(outcome => Ofrep(row, outcome.Value, outcome.Key, outcome.Reason))];
    }

    public string Name { get; }

    /// <summary>What comes of this flag for an identity.</summary>
    public int Evaluate(string identifier) => _experiment is null ? OwnValue : _experiment.VariantOf(identifier) + 1 ?? OwnValue;

    /// <summary>The outcome as an item of the Flagsmith SDK API's <c>flags</c>.</summary>
    public ReadOnlySpan<byte> Flagsmith(int outcome) => _flagsmith[outcome];

    /// <summary>The outcome as OFREP answers it.</summary>
    public ReadOnlyMemory<byte> Ofrep(int outcome) => _ofrep[outcome];

    private static byte[] Flagsmith(SnapshotRow row, JsonNode? value, string? variant, string reason) => StoredJson.Utf8(new JsonObject
    {
        ["id"] = row.FeatureId,
        ["enabled"] = row.Enabled,
        // Its clients know strings, numbers and booleans, and parse an object out of a string when they are asked to.
        ["feature_state_value"] = value is JsonObject or JsonArray ? StoredJson.Text(value) : value?.DeepClone(),
        ["feature"] = new JsonObject { ["id"] = row.FeatureId, ["name"] = row.FeatureName, ["type"] = row.IsMultivariate ? "MULTIVARIATE" : "STANDARD" },
        ["variant"] = variant,
        ["reason"] = reason,
        ["metadata"] = row.ExperimentId is null ? [] : new JsonObject
        {
            ["experiment"] = new JsonObject { ["id"] = row.ExperimentId, ["name"] = row.ExperimentName, ["in_experiment"] = variant is not null },
        },
    });

    private static byte[] Ofrep(SnapshotRow row, JsonNode? value, string? variant, string reason)
    {
        var answer = new JsonObject { ["key"] = row.FeatureName };
        // Without a value, the application's default stands.
        if (value is not null)
        {
            answer["value"] = value.DeepClone();
        }

        answer["reason"] = reason;
        if (variant is not null)
        {
            answer["variant"] = variant;
        }

        answer["metadata"] = row.ExperimentId is null ? [] : new JsonObject
        {
            ["experiment_id"] = row.ExperimentId,
            ["experiment_name"] = row.ExperimentName,
            ["in_experiment"] = variant is not null,
        };
        return StoredJson.Utf8(answer);
    }
}
