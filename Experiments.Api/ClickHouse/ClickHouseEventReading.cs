using Experiments.Api.Aggregation;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Reads all events of an environment. Some may still wait in the queue: whoever counts those counts them again, to the same result.
/// </summary>
internal sealed class ClickHouseEventReading(ClickHouseServer server, NpgsqlConnection locked, long environmentId) : IEventReading
{
    public async Task<DateTime?> Oldest() =>
        await server.Single<DateTime?>(
            "SELECT maxOrNull(toUnixTimestamp64Milli(until)) FROM dropped",
            new Dictionary<string, object>(),
            row => row.IsDBNull(0) ? null : DateTime.UnixEpoch.AddMilliseconds(row.GetInt64(0)),
            CancellationToken.None
        );

    public Task<long> Size(DateTime from) =>
        server.Single(
            """
            SELECT toInt64(count()) FROM events
            WHERE environment_id = {environment:Int64} AND at >= fromUnixTimestamp64Milli({from:Int64})
            """,
            new Dictionary<string, object> { ["environment"] = environmentId, ["from"] = EventRows.Microseconds(from) / 1000 },
            row => row.GetInt64(0),
            CancellationToken.None
        );

    public async Task Each(EventFilter filter, StoredEvent.Needs needs, Action<StoredEvent> take, CancellationToken ct)
    {
        var rows = new EventRows(needs, needs.AliasesUntil is { } until ? await new IdentityAliases(locked).All(environmentId, until) : []);
        await server.Read(
            $$"""
            SELECT {{rows.Columns}} FROM events FINAL
            WHERE environment_id = {environment:Int64} AND event IN {names:Array(String)}
              AND at BETWEEN fromUnixTimestamp64Milli({first:Int64}) AND fromUnixTimestamp64Milli({last:Int64})
              AND {{EventRows.HappenedAt}} BETWEEN {from:Int64} AND {until:Int64}
            """,
            new Dictionary<string, object>
            {
                ["environment"] = environmentId,
                ["names"] = filter.Names,
                ["first"] = EventRows.Microseconds(filter.From - ClockSkew.SlackTime) / 1000,
                ["last"] = EventRows.Microseconds(filter.Until + ClockSkew.SlackTime) / 1000,
                ["from"] = EventRows.Microseconds(filter.From),
                ["until"] = EventRows.Microseconds(filter.Until),
            },
            row =>
            {
                var stored = rows.Of(row);
                if (filter.Slices == 1 || RebuildWriter.SliceOf(stored.CountedUnit(filter.UnitKey), filter.Slices) == filter.Slice)
                {
                    take(stored);
                }
            },
            ct
        );
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
