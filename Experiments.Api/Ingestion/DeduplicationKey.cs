using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Experiments.Api.Ingestion;

/// <summary>
/// What recognises an event that was sent before. Together with the instant, 64 bits are plenty: two different events would
/// have to share a millisecond as well. An id alone, without an instant, takes 128.
/// </summary>
internal sealed class DeduplicationKey(long environmentId)
{
    private readonly XxHash3 _hash = new();

    /// <summary>The key of an event without an id: the same content is the same event.</summary>
    public long OfContent(DateTime at, string name, string? feature, string? identifier, string? value, ulong? traits, ulong? metadata)
    {
        ReadOnlySpan<long> numbers = [environmentId, at.Ticks, (long)(traits ?? 0), (long)(metadata ?? 0)];
        _hash.Append(MemoryMarshal.AsBytes(numbers));
        Append(name);
        Append(feature);
        Append(identifier);
        Append(value);
        var key = (long)_hash.GetCurrentHashAsUInt64();
        _hash.Reset();
        return key;
    }

    /// <summary>The key of what is the same once more in one request.</summary>
    public static long OfRepeated(long key, int time) => (long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes<long>([key, time]));

    public long OfId(string id) => (long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(id.AsSpan()), seed: environmentId);

    public Guid WideOfId(string id) => new(XxHash128.Hash(MemoryMarshal.AsBytes(id.AsSpan()), seed: environmentId));

    // The length goes before the text, so that no two rows of fields run together into the same.
    private void Append(string? text)
    {
        ReadOnlySpan<int> length = [text?.Length ?? -1];
        _hash.Append(MemoryMarshal.AsBytes(length));
        _hash.Append(MemoryMarshal.AsBytes(text.AsSpan()));
    }
}
