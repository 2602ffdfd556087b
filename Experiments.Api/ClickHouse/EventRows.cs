using System.Buffers.Binary;
using ClickHouse.Driver.ADO.Readers;
using Experiments.Api.Aggregation;

namespace Experiments.Api.ClickHouse;

/// <summary>Reads rows of the table of events as what aggregation counts.</summary>
/// <param name="needs">What is needed of them.</param>
/// <param name="persons">What the identifiers that are aliases are known as, and the batch that said so.</param>
internal sealed class EventRows(StoredEvent.Needs needs, IReadOnlyDictionary<string, (string Identifier, long Batch)> persons)
{
    public static readonly IReadOnlyDictionary<string, (string Identifier, long Batch)> Nobody =
        new Dictionary<string, (string Identifier, long Batch)>();

    /// <summary>When an event happened, in microseconds since 1970.</summary>
    public const string HappenedAt = "(toUnixTimestamp64Milli(at) * 1000 + skew)";

    private readonly Dictionary<string, string> _names = [];

    /// <summary>The columns in the order in which <see cref="Of"/> reads them.</summary>
    public string Columns =>
        $"""
            toInt64({ClickHouseSchema.LastBatch} - version), environment_id, {HappenedAt}, key, id, event, feature_name, identifier, value,
            {(needs.UnitKeys.Length > 0 || needs.EventsWithTraits.Length > 0 ? "traits" : "CAST(NULL, 'Nullable(String)')")}, metadata
            """;

    public StoredEvent Of(ClickHouseDataReader row)
    {
        var (key, name, identifier) = (row.GetInt64(3), row.GetString(5), Text(row, 7));
        return StoredEvent.Kept(
            new()
            {
                Batch = row.GetInt64(0),
                EnvironmentId = row.GetInt64(1),
                At = Instant(row.GetInt64(2)),
                Key = key != 0 ? key : FirstHalf(row.GetGuid(4)),
                // The same few names occur again and again.
                Event = _names.TryGetValue(name, out var known) ? known : _names[name] = name,
                FeatureName = Text(row, 6),
                Identifier = identifier,
                Value = Text(row, 8),
                Traits = Text(row, 9),
                Metadata = Text(row, 10),
                ExperimentId = null,
            },
            needs,
            needs.AliasesUntil is { } until
            && identifier is not null
            && persons.TryGetValue(identifier, out var person)
            && person.Batch <= until
                ? person
                : null
        );
    }

    public static DateTime Instant(long microseconds) => DateTime.UnixEpoch.AddTicks(microseconds * TimeSpan.TicksPerMicrosecond);

    public static long Microseconds(DateTime instant) => (instant - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    public static string? Text(ClickHouseDataReader row, int index) => row.IsDBNull(index) ? null : row.GetString(index);

    /// <summary>What identifies an event without an id.</summary>
    public static long FirstHalf(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        return BinaryPrimitives.ReadInt64BigEndian(bytes);
    }
}
