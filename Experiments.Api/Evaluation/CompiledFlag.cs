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

    // In the order of FlagFormat.
    private static readonly Func<SnapshotRow, EvaluatedFlag, byte[]>[] Formats =
    [
        FlagsmithFormat.Write,
        OfrepFormat.Write,
        PostHogFormat.Write,
        GrowthBookFormat.Write,
        GrowthBookFormat.WritePreview,
    ];

    private readonly FlagSplit? _split;
    private readonly int _heldOut;
    private readonly string? _holdoutUnitKey;
    private readonly byte[][][] _formats;

    public CompiledFlag(SnapshotRow row)
    {
        (Name, UnitKey, _holdoutUnitKey) = (row.FeatureName!, row.UnitKey, row.HoldoutUnitKey);
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
        _formats = [.. Formats.Select(format => outcomes.Select(outcome => format(row, outcome)).ToArray())];
    }

    public string Name { get; }

    /// <summary>The key whose value is assigned, or null for the identifier.</summary>
    public string? UnitKey { get; }

    /// <summary>The outcome of this flag.</summary>
    public int Evaluate(in Units units)
    {
        var known = default(HoldoutCheck);
        return Evaluate(units, ref known);
    }

    /// <summary>The same, for one flag after the other.</summary>
    public int Evaluate(in Units units, ref HoldoutCheck known) =>
        _split is null ? OwnValue
        : units.Of(_holdoutUnitKey) is { } held && _split.HoldsOut(held, ref known) ? _heldOut
        // Whoever has no such unit is in no experiment on it.
        : units.Of(UnitKey) is { } unit ? _split.VariantOf(unit) + 1 ?? OwnValue
        : OwnValue;

    /// <summary>The salt, if the flag can be evaluated by hashes of an <see cref="AssignmentBatch"/>; null otherwise.</summary>
    public string? BatchSalt => UnitKey is null ? _split?.BatchSalt : null;

    /// <summary>The same by the hashes of a batch.</summary>
    public int Evaluate(in Units units, ref HoldoutCheck known, double draw, double hash) =>
        units.Of(_holdoutUnitKey) is { } held && _split!.HoldsOut(held, ref known)
            ? _heldOut
            : _split!.VariantOf(draw, hash) + 1 ?? OwnValue;

    /// <summary>The outcome that is the variant at <paramref name="index"/>; null if there is none.</summary>
    public int? OutcomeOf(int index) => index >= 0 && index < (_split?.Variants.Count ?? 0) ? index + 1 : null;

    /// <summary>The outcome as a client of this protocol reads it.</summary>
    public ReadOnlyMemory<byte> In(FlagFormat format, int outcome) => _formats[(int)format][outcome];
}
