using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>An experiment that is running, as much of it as evaluation needs.</summary>
internal sealed class RunningExperiment
{
    private readonly VariantAssigner _assigner;
    private readonly decimal _rollout;

    private RunningExperiment(SnapshotRow row, IReadOnlyList<(string Key, JsonNode? Value, decimal Weight)> variants)
    {
        _assigner = new(row.Salt!, variants.Select(variant => variant.Weight), row.HoldoutSalt, row.HoldoutPercentage ?? 0);
        _rollout = row.RolloutPercentage!.Value;
        Variants = [.. variants.Select(variant => (variant.Key, variant.Value))];
    }

    public IReadOnlyList<(string Key, JsonNode? Value)> Variants { get; }

    /// <summary>The experiment of a row, or null when the feature has none that is running.</summary>
    public static RunningExperiment? Of(SnapshotRow row) => row.ExperimentId is null ? null : new(row, StoredJson.Variants(row.Variants!));

    /// <summary>Whether the experiment's holdout keeps the identity out.</summary>
    /// <param name="identifier">The identity.</param>
    /// <param name="known">What the same holdout has said of it for another experiment.</param>
    public bool HoldsOut(string identifier, ref HoldoutCheck known) => _assigner.HoldsOut(identifier, ref known);

    /// <summary>The index of the identity's variant, or null when the rollout does not include it.</summary>
    public int? VariantOf(string identifier) => _assigner.IsIncluded(identifier, _rollout) ? _assigner.Variant(identifier) : null;
}
