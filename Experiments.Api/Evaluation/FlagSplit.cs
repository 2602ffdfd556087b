using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>
/// How a flag is split among identities: by its running experiment, or without one by the percentages of its options. A flag that only
/// keeps a former value for a holdout has no variants.
/// </summary>
internal sealed class FlagSplit
{
    private readonly VariantAssigner _assigner;
    private readonly decimal _rollout;
    private readonly double _share;

    private FlagSplit(SnapshotRow row, string salt, decimal rollout, IReadOnlyList<(string Key, JsonNode? Value, decimal Weight)> variants)
    {
        _assigner = new(
            salt,
            [.. variants.Select(variant => variant.Weight)],
            row.HoldoutSalt,
            row.HoldoutPercentage ?? 0,
            FlagsmithHashing.Of(row.Hashing, row.EnvironmentId, row.ExperimentId)
        );
        (_rollout, _share) = (rollout, (double)(rollout / 100));
        Variants = [.. variants.Select(variant => (variant.Key, variant.Value))];
    }

    public IReadOnlyList<(string Key, JsonNode? Value)> Variants { get; }

    /// <summary>The split of a row, or null for a flag that serves everybody the same.</summary>
    /// <param name="row">The row.</param>
    /// <param name="own">The flag's own value.</param>
    public static FlagSplit? Of(SnapshotRow row, JsonNode? own)
    {
        if (row.ExperimentId is not null)
        {
            return new(row, row.Salt!, row.RolloutPercentage!.Value, StoredJson.Variants(row.Variants!));
        }

        var options = row.Options is null ? [] : StoredJson.Variants(row.Options, "default_percentage_allocation");
        return options.Count > 0
                ? new(row, $"feature-{row.FeatureId}", 100, [(Slug.Control, own, 100 - options.Sum(option => option.Weight)), .. options])
            : row.HoldoutId is not null ? new(row, "", 0, [])
            : null;
    }

    /// <summary>Whether the holdout keeps the identity out.</summary>
    /// <param name="identifier">The identity.</param>
    /// <param name="known">What the same holdout has said of it for another flag.</param>
    public bool HoldsOut(string identifier, ref HoldoutCheck known) => _assigner.HoldsOut(identifier, ref known);

    /// <summary>The salt, if the split can be decided by hashes of an <see cref="AssignmentBatch"/>; null otherwise.</summary>
    public string? BatchSalt => Variants.Count > 0 ? _assigner.BatchSalt : null;

    /// <summary>The same as <see cref="VariantOf(string)"/> by the hashes of a batch.</summary>
    public int? VariantOf(double draw, double hash) => _rollout >= 100 || draw < _share ? _assigner.Variant(hash) : null;

    /// <summary>The index of the identity's variant, or null when the rollout does not include it.</summary>
    public int? VariantOf(string identifier) => _assigner.IsIncluded(identifier, _rollout) ? _assigner.Variant(identifier) : null;
}
