using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Evaluation;

/// <summary>What assignment needs to know of an experiment that is running.</summary>
internal sealed class RunningExperiment
{
    private readonly string _salt;
    private readonly decimal _rollout;
    private readonly double[] _cumulative;
    private readonly string? _holdoutSalt;
    private readonly decimal _heldOut;

    private RunningExperiment(SnapshotRow row, IReadOnlyList<(string Key, JsonNode? Value, decimal Weight)> variants)
    {
        (_salt, _rollout) = (row.Salt!, row.RolloutPercentage!.Value);
        (_holdoutSalt, _heldOut) = (row.HoldoutSalt, row.HoldoutPercentage ?? 0);
        _cumulative = Assignment.Cumulate(variants.Select(variant => variant.Weight));
        Variants = [.. variants.Select(variant => (variant.Key, variant.Value))];
    }

    public IReadOnlyList<(string Key, JsonNode? Value)> Variants { get; }

    /// <summary>The experiment of a row, or null when the feature has none that is running.</summary>
    public static RunningExperiment? Of(SnapshotRow row) => row.ExperimentId is null
        ? null
        : new(row, StoredJson.Variants(row.Variants!));

    /// <summary>Whether the experiment's holdout keeps the identity out.</summary>
    /// <param name="identifier">The identity.</param>
    /// <param name="known">What the same holdout has said of it for another experiment.</param>
    public bool HoldsOut(string identifier, ref HoldoutAnswer known)
    {
        if (_holdoutSalt is null)
        {
            return false;
        }

        if (known.Salt != _holdoutSalt)
        {
            known = new(_holdoutSalt, Assignment.Admits(_holdoutSalt, identifier, _heldOut));
        }

        return known.HoldsOut;
    }

    /// <summary>The place of the identity's variant, or null when it takes no part.</summary>
    public int? VariantOf(string identifier) =>
        Assignment.Admits(_salt, identifier, _rollout) ? Assignment.Variant(_salt, identifier, _cumulative) : null;
}

/// <summary>What the holdout of this salt says of an identity; most experiments of an environment share one.</summary>
internal readonly record struct HoldoutAnswer(string? Salt, bool HoldsOut);
