using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Experiments.Api.Ingestion;

/// <summary>
/// The key that identifies duplicates of an event. Combined with the timestamp, 64 bits are enough: two different events would also have
/// to share a millisecond. A client-supplied id is compared without a timestamp, so it takes 128 bits.
/// </summary>
internal sealed class DeduplicationKeyHasher(long environmentId)
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

    /// <summary>The key of an event that occurs again in the same request.</summary>
    public static long OfRepeated(long key, int time) => (long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes<long>([key, time]));

    /// <summary>The key of an event among several that had the same id and are told apart by what else they are.</summary>
    public static long OfNamesake(long key, string name, string? identifier)
    {
        var hash = new XxHash3(seed: key);
        hash.Append(MemoryMarshal.AsBytes<int>([name.Length]));
        hash.Append(MemoryMarshal.AsBytes(name.AsSpan()));
        hash.Append(MemoryMarshal.AsBytes(identifier.AsSpan()));
        return (long)hash.GetCurrentHashAsUInt64();
    }

    public long OfId(string id) => (long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(id.AsSpan()), seed: environmentId);

    /// <summary>
    /// The same for the table of ids. What a UUID begins with stays in front: those of most clients begin with the time, so that new ones
    /// come to lie beside one another and not all over the index.
    /// </summary>
    public Guid WideOfId(string id)
    {
        Span<byte> wide = stackalloc byte[16];
        XxHash128.Hash(MemoryMarshal.AsBytes(id.AsSpan()), wide, seed: environmentId);
        if (Guid.TryParseExact(id, "D", out var uuid))
        {
            Span<byte> given = stackalloc byte[16];
            uuid.TryWriteBytes(given, bigEndian: true, out _);
            given[..8].CopyTo(wide);
        }

        return new(wide, bigEndian: true);
    }

    // Each text is prefixed with its length, so that different sequences of fields never hash the same input.
    private void Append(string? text)
    {
        ReadOnlySpan<int> length = [text?.Length ?? -1];
        _hash.Append(MemoryMarshal.AsBytes(length));
        _hash.Append(MemoryMarshal.AsBytes(text.AsSpan()));
    }
}
