using System.Text.Json.Nodes;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>A flag as OpenFeature's Remote Evaluation Protocol answers it.</summary>
internal static class OfrepFormat
{
    public static byte[] Write(SnapshotRow row, EvaluatedFlag outcome)
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

        answer["metadata"] = outcome.AddTo(
            row.ExperimentId is null
                ? []
                : new JsonObject
                {
                    ["experiment_id"] = row.ExperimentId,
                    ["experiment_name"] = row.ExperimentName,
                    ["in_experiment"] = outcome.Variant is not null,
                }
        );
        if (row is { ExperimentId: not null, UnitKey: not null })
        {
            // Whoever sends exposures tells by it whose they are.
            answer["metadata"]!["unit"] = row.UnitKey;
        }

        return StoredJson.Utf8(answer);
    }
}
