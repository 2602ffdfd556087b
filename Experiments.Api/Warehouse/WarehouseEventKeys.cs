using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Experiments.Api.Warehouse;

/// <summary>
/// Tells events of a warehouse apart, which have no key of their own: by what they say, and the n-th of several that are equal by n.
/// Events are given by who and when, so that only those of one moment are remembered. Every read gives the same keys.
/// </summary>
internal sealed class WarehouseEventKeys
{
    private readonly Dictionary<long, int> _seen = [];
    private (string Who, DateTime At) _moment;

    public long Of(string who, DateTime at, string name, string? value, string? metadata)
    {
        if (_moment != (who, at))
        {
            _moment = (who, at);
            _seen.Clear();
        }

        var content = Hash(name, value, metadata);
        ref var count = ref CollectionsMarshal.GetValueRefOrAddDefault(_seen, content, out _);
        return unchecked(content + (count++ * 0x9E3779B97F4A7C1L));
    }

    private static long Hash(string name, string? value, string? metadata)
    {
        var hash = new XxHash3();
        foreach (var part in new[] { name, value, metadata })
        {
            // The length keeps parts apart, and none is not empty.
            hash.Append(BitConverter.GetBytes(part?.Length ?? -1));
            hash.Append(MemoryMarshal.AsBytes(part.AsSpan()));
        }

        return unchecked((long)hash.GetCurrentHashAsUInt64());
    }
}
