using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Reads all events of an environment. Some may still wait in the queue: whoever counts those counts them again, to the same result.
/// </summary>
internal sealed class ClickHouseEventReading(ClickHouseShards shards, NpgsqlConnection locked, long environmentId) : IEventReading
{
    public async Task<long> Size(DateTime from, CancellationToken ct)
    {
        await using var heartbeat = Heartbeat.Of(locked);
        return await shards.Sum(
            """
            SELECT toInt64(count()) FROM events
            WHERE environment_id = {environment:Int64} AND at >= fromUnixTimestamp64Milli({from:Int64})
            """,
            new Dictionary<string, object> { ["environment"] = environmentId, ["from"] = EventRows.Microseconds(from) / 1000 },
            ct
        );
    }

    // Not by months, which older releases leave out before they look for duplicates in all of them.
    public Task Each(
        EventFilter filter,
        StoredEvent.Needs needs,
        IReadOnlyList<AliasGraph.Entry> aliases,
        Action<StoredEvent> take,
        CancellationToken ct
    )
    {
        var rows = new EventRows(needs, aliases);
        return shards.Read(
            $$"""
            SELECT {{rows.Columns}} FROM events FINAL
            WHERE environment_id = {environment:Int64} AND event IN {{Literal.List(filter.Names)}}
              AND {{EventRows.HappenedAt}} BETWEEN {from:Int64} AND {until:Int64}
            """,
            new Dictionary<string, object>
            {
                ["environment"] = environmentId,
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
