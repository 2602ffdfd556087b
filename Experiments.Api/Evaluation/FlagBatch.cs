using System.Buffers;
using Experiments.Api.Domain;

namespace Experiments.Api.Evaluation;

/// <summary>All flags of a snapshot, evaluated for one identity: most of them by hashes that are computed several at once.</summary>
internal sealed class FlagBatch
{
    private readonly IReadOnlyList<CompiledFlag> _flags;
    private readonly AssignmentBatch _hashes;

    // For each flag, where its hashes are in the batch; -1 for one that is evaluated by itself.
    private readonly int[] _places;
    private readonly int _count;

    public FlagBatch(IReadOnlyList<CompiledFlag> flags)
    {
        _flags = flags;
        var salts = new List<string>();
        _places = new int[flags.Count];
        for (var i = 0; i < flags.Count; i++)
        {
            _places[i] = -1;
            if (flags[i].BatchSalt is { } salt)
            {
                _places[i] = salts.Count;
                salts.Add(salt);
            }
        }

        (_hashes, _count) = (new(salts), salts.Count);
    }

    /// <summary>The outcome of each flag.</summary>
    public void Evaluate(in Units units, Span<int> outcomes)
    {
        if (units.Identifier is not { } identifier || _count == 0)
        {
            EvaluateEach(_flags, units, outcomes);
            return;
        }

        var known = default(HoldoutCheck);

        var numbers = ArrayPool<double>.Shared.Rent(2 * _count);
        var draws = numbers.AsSpan(0, _count);
        var hashes = numbers.AsSpan(_count, _count);
        _hashes.Draws(identifier, draws);
        _hashes.VariantHashes(identifier, hashes);
        for (var i = 0; i < _flags.Count; i++)
        {
            outcomes[i] = _places[i] is >= 0 and var place
                ? _flags[i].Evaluate(units, ref known, draws[place], hashes[place])
                : _flags[i].Evaluate(units, ref known);
        }

        ArrayPool<double>.Shared.Return(numbers);
    }

    /// <summary>The outcome of each of some flags, one after the other.</summary>
    public static void EvaluateEach(IReadOnlyList<CompiledFlag> flags, in Units units, Span<int> outcomes)
    {
        var known = default(HoldoutCheck);
        for (var i = 0; i < flags.Count; i++)
        {
            outcomes[i] = flags[i].Evaluate(units, ref known);
        }
    }
}
