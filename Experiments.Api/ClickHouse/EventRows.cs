using ClickHouse.Driver.ADO.Readers;
using Experiments.Api.Aggregation;
using Experiments.Api.Ingestion;

namespace Experiments.Api.ClickHouse;

/// <summary>Reads rows of the table of events as what aggregation counts.</summary>
/// <param name="needs">What is needed of them.</param>
/// <param name="aliases">The identities that are aliases; only what of them was said early enough.</param>
internal sealed class EventRows(StoredEvent.Needs needs, IEnumerable<AliasGraph.Entry> aliases)
{
    private readonly Dictionary<(long Environment, string Identifier), (string Identifier, long Batch)> _persons = aliases
        .Where(alias => alias.IsAlias)
        .ToDictionary(alias => (alias.Environment, alias.Identifier), alias => (alias.KnownAs, alias.Batch));

    /// <summary>When an event happened, in microseconds since 1970.</summary>
    public const string HappenedAt = "(toUnixTimestamp64Milli(at) * 1000 + skew)";

    private readonly Dictionary<string, string> _names = [];

    /// <summary>The columns in the order in which <see cref="Of"/> reads them.</summary>
    public string Columns =>
        $"""
            toInt64({ClickHouseSchema.LastBatch} - version), environment_id, {HappenedAt}, key, event, feature_name, identifier, value,
            {Where(needs.EventsWithTraits, "traits")}, {Where([.. needs.EventsWithMetadata, ReceivedEvent.Exposure], "metadata")}
            """;

    // Units may be in the traits and the metadata of any event.
    private string Where(string[] events, string column) =>
        needs.UnitKeys.Length > 0 ? column
        : events.Length == 0 ? "CAST(NULL, 'Nullable(String)')"
        : $"if(event IN {Literal.List(events)}, {column}, NULL)";

    public StoredEvent Of(ClickHouseDataReader row)
    {
        var (name, identifier) = (row.GetString(4), Text(row, 6));
        return StoredEvent.Kept(
            new()
            {
                Batch = row.GetInt64(0),
                EnvironmentId = row.GetInt64(1),
                At = Instant(row.GetInt64(2)),
                Key = row.GetInt64(3),
                // The same few names occur again and again.
                Event = _names.TryGetValue(name, out var known) ? known : _names[name] = name,
                FeatureName = Text(row, 5),
                Identifier = identifier,
                Value = Text(row, 7),
                Traits = Text(row, 8),
                Metadata = Text(row, 9),
                ExperimentId = null,
            },
            needs,
            identifier is not null && _persons.TryGetValue((row.GetInt64(1), identifier), out var person) ? person : null
        );
    }

    public static DateTime Instant(long microseconds) => DateTime.UnixEpoch.AddTicks(microseconds * TimeSpan.TicksPerMicrosecond);

    public static long Microseconds(DateTime instant) => (instant - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    public static string? Text(ClickHouseDataReader row, int index) => row.IsDBNull(index) ? null : row.GetString(index);
}
