using System.IO.Hashing;
using System.Runtime.InteropServices;
using Experiments.Api.Ingestion;

namespace Experiments.Api.Warehouse;

/// <summary>
/// Tells events of a warehouse apart as those of a request without ids are: by what they say, and the n-th of several that are equal by n.
/// Events are given by who and when, so that only those of one moment are remembered. Every read gives the same keys.
/// </summary>
internal sealed class WarehouseEventKeys(long environmentId)
{
    private readonly DeduplicationKeyHasher _hasher = new(environmentId);
    private readonly Dictionary<long, int> _seen = [];
    private (string Who, DateTime At) _moment;

    public long Of(string who, DateTime at, string name, string? value, string? metadata)
    {
        if (_moment != (who, at))
        {
            _moment = (who, at);
            _seen.Clear();
        }

        ulong? said = metadata is null ? null : XxHash3.HashToUInt64(MemoryMarshal.AsBytes(metadata.AsSpan()));
        var content = _hasher.OfContent(at, name, null, who, value, null, said);
        ref var time = ref CollectionsMarshal.GetValueRefOrAddDefault(_seen, content, out _);
        return time++ == 0 ? content : DeduplicationKeyHasher.OfRepeated(content, time);
    }
}
