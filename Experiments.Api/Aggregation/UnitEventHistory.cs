using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Aggregation;

/// <summary>
/// The events of one identity that the metrics of an experiment use, deduplicated and in order, so that a value can be recomputed when an
/// event arrives late. Stored as one binary value: a version; then, for each source metric, its id and its number of events; and for each
/// event its instant, key, slot and number, in little-endian order.
/// </summary>
internal sealed class UnitEventHistory
{
    /// <summary>The maximum number of events kept: the earliest ones, whatever order they arrive in. Only a bot has more.</summary>
    public const int Most = 10_000;

    // The first byte of the stored value. Each format has its own number, so that no release misreads another release's data.
    private const byte Version = 1;

    private const int HeadSize = 12;
    private const int EventSize = 25;

    private readonly List<(long SourceMetric, List<MetricEvent> Events)> _kept = [];

    public static UnitEventHistory Of(byte[]? packed)
    {
        var history = new UnitEventHistory();
        if (packed is [var version, ..] && version != Version)
        {
            throw new InvalidDataException($"The events of an identity are stored in format {version}, and this release reads {Version}.");
        }

        for (var rest = packed is null or [] ? default : packed.AsSpan(1); rest.Length > 0; )
        {
            var source = BinaryPrimitives.ReadInt64LittleEndian(rest);
            var count = BinaryPrimitives.ReadInt32LittleEndian(rest[8..]);
            // With some spare capacity for new events.
            var events = new List<MetricEvent>(count + 4);
            rest = rest[HeadSize..];
            for (var left = count; left > 0; left--, rest = rest[EventSize..])
            {
                events.Add(
                    new(
                        new(BinaryPrimitives.ReadInt64LittleEndian(rest), DateTimeKind.Utc),
                        BinaryPrimitives.ReadInt64LittleEndian(rest[8..]),
                        rest[16],
                        BinaryPrimitives.ReadDoubleLittleEndian(rest[17..])
                    )
                );
            }

            history._kept.Add((source, events));
        }

        return history;
    }

    /// <summary>Adds an event. Returns whether anything changed.</summary>
    public bool Add(long source, MetricEvent e)
    {
        var events = Kept(source);
        var index = events.Count > 0 && events[^1].CompareTo(e) < 0 ? ~events.Count : events.BinarySearch(e);
        if (index >= 0 || ~index >= Most)
        {
            return false;
        }

        events.Insert(~index, e);
        if (events.Count > Most)
        {
            events.RemoveAt(Most);
        }

        return true;
    }

    /// <summary>All events, with their source metrics.</summary>
    public IEnumerable<(long SourceMetric, MetricEvent Event)> All =>
        _kept.SelectMany(kept => kept.Events.Select(taken => (kept.SourceMetric, taken)));

    /// <summary>The events of this source metric, in order.</summary>
    public ReadOnlySpan<MetricEvent> Of(long source)
    {
        foreach (var (kept, events) in _kept)
        {
            if (kept == source)
            {
                return CollectionsMarshal.AsSpan(events);
            }
        }

        return default;
    }

    public byte[] Pack()
    {
        if (_kept.Count == 0)
        {
            return [];
        }

        var packed = new byte[1 + _kept.Sum(kept => HeadSize + (kept.Events.Count * EventSize))];
        packed[0] = Version;
        var rest = packed.AsSpan(1);
        foreach (var (source, events) in _kept)
        {
            BinaryPrimitives.WriteInt64LittleEndian(rest, source);
            BinaryPrimitives.WriteInt32LittleEndian(rest[8..], events.Count);
            rest = rest[HeadSize..];
            foreach (var e in events)
            {
                BinaryPrimitives.WriteInt64LittleEndian(rest, e.At.Ticks);
                BinaryPrimitives.WriteInt64LittleEndian(rest[8..], e.Key);
                rest[16] = (byte)e.Slot;
                BinaryPrimitives.WriteDoubleLittleEndian(rest[17..], e.Value);
                rest = rest[EventSize..];
            }
        }

        return packed;
    }

    // Ordered by metric, so that equal events yield equal bytes.
    private List<MetricEvent> Kept(long source)
    {
        var index = 0;
        while (index < _kept.Count && _kept[index].SourceMetric < source)
        {
            index++;
        }

        if (index == _kept.Count || _kept[index].SourceMetric != source)
        {
            _kept.Insert(index, (source, []));
        }

        return _kept[index].Events;
    }
}
