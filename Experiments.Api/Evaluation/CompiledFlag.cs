using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>
/// A flag of a snapshot with all its possible outcomes, serialised for each protocol, so that serving only selects one of a few byte
/// strings. Outcome 0 is the flag's own value, for identities that do not take part. The next outcomes are its variants, of an experiment
/// or of a split by percentages. The last one is for held-out identities.
/// </summary>
internal sealed class CompiledFlag
{
    /// <summary>The outcome for identities that do not take part.</summary>
    public const int OwnValue = 0;

    private readonly FlagSplit? _split;
    private readonly int _heldOut;
    private readonly byte[][] _flagsmith;
    private readonly byte[][] _ofrep;

    public CompiledFlag(SnapshotRow row)
    {
        Name = row.FeatureName!;
        // A flag that is off serves its own value, whatever runs on it.
        var own = row.InitialValue is null ? null : StoredJson.Parse(row.InitialValue);
        _split = row.Enabled ? FlagSplit.Of(row, own) : null;
        var outcomes = (_split?.Variants ?? [])
            .Select(variant => new EvaluatedFlag(variant.Value, variant.Key, "SPLIT"))
            .Prepend(new(own, null, row.Enabled ? "STATIC" : "DISABLED"))
            .ToList();
        if (_split is not null && row.HoldoutId is not null)
        {
            outcomes.Add(new(StoredJson.Parse(row.HeldValue!), null, "STATIC", row.HoldoutId));
        }

        _heldOut = outcomes.Count - 1;
        _flagsmith = [.. outcomes.Select(outcome => Flagsmith(row, outcome))];
        _ofrep = [.. outcomes.Select(outcome => Ofrep(row, outcome))];
    }

    public string Name { get; }

    /// <summary>The outcome of this flag for an identity.</summary>
    public int Evaluate(string identifier)
    {
        var known = default(HoldoutCheck);
        return Evaluate(identifier, ref known);
    }

    /// <summary>The same, for one flag after the other.</summary>
    public int Evaluate(string identifier, ref HoldoutCheck known) =>
        _split is null ? OwnValue
        : _split.HoldsOut(identifier, ref known) ? _heldOut
        : _split.VariantOf(identifier) + 1 ?? OwnValue;

    /// <summary>The outcome as an item of the Flagsmith SDK API's <c>flags</c>.</summary>
    public ReadOnlySpan<byte> Flagsmith(int outcome) => _flagsmith[outcome];

    /// <summary>The outcome as OFREP answers it.</summary>
    public ReadOnlyMemory<byte> Ofrep(int outcome) => _ofrep[outcome];

    private static byte[] Flagsmith(SnapshotRow row, EvaluatedFlag outcome) =>
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
                    ? With([], outcome.Holdout)
                    : new JsonObject
                    {
                        ["experiment"] = With(
                            new JsonObject
                            {
                                ["id"] = row.ExperimentId,
                                ["name"] = row.ExperimentName,
                                ["in_experiment"] = outcome.Variant is not null,
                            },
                            outcome.Holdout
                        ),
                    },
            }
        );

    private static byte[] Ofrep(SnapshotRow row, EvaluatedFlag outcome)
    {
        var answer = new JsonObject { ["key"] = row.FeatureName };
        // A feature that is only on or off has that as its value. Without any value, the application uses its default.
        if ((outcome.Value ?? (row.IsMultivariate ? null : JsonValue.Create(row.Enabled))) is { } value)
        {
            answer["value"] = value.DeepClone();
        }

        answer["reason"] = outcome.Reason;
        if (outcome.Variant is not null)
        {
            answer["variant"] = outcome.Variant;
        }

        answer["metadata"] = With(
            row.ExperimentId is null
                ? []
                : new JsonObject
                {
                    ["experiment_id"] = row.ExperimentId,
                    ["experiment_name"] = row.ExperimentName,
                    ["in_experiment"] = outcome.Variant is not null,
                },
            outcome.Holdout
        );
        return StoredJson.Utf8(answer);
    }

    private static JsonObject With(JsonObject metadata, long? holdout)
    {
        if (holdout is not null)
        {
            metadata["holdout"] = holdout;
        }

        return metadata;
    }

    /// <summary>A possible outcome of a flag.</summary>
    private sealed record EvaluatedFlag(JsonNode? Value, string? Variant, string Reason, long? Holdout = null);
}
