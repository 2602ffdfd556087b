using System.Globalization;
using Dapper;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>Drops months of events in ClickHouse. It makes room for new ones by itself.</summary>
internal sealed class ClickHouseRetention(ClickHouseShards shards, NpgsqlDataSource source) : IEventRetention
{
    // Values are always counted from all events, those of the longest lookback before an experiment as well.
    private const string Needed = "SELECT events_are_needed(@until, @finalAfter, interval '30 days')";

    private const string Dropped = "INSERT INTO dropped_events VALUES (@until) ON CONFLICT DO NOTHING";

    private const string Waiting = """
        SELECT LEAST(clock_timestamp() - interval '1 day', (SELECT min(received_at) FROM event_batches),
            (SELECT min(received_at) FROM event_arrivals))
        """;

    public Task Make(DateTime first, DateTime last, CancellationToken ct) => Task.CompletedTask;

    public async Task<IReadOnlyList<string>> Drop(DateTime before, TimeSpan finalAfter, CancellationToken ct)
    {
        var months = new SortedSet<uint>();
        await shards.Read(
            "SELECT DISTINCT toUInt32(partition) FROM system.parts WHERE database = currentDatabase() AND table = 'events' AND active",
            null,
            row => months.Add((uint)row.GetValue(0)),
            ct
        );
        var dropped = new List<string>();
        await using var connection = await source.OpenConnectionAsync(ct);
        foreach (var month in months)
        {
            var until = new DateTime((int)month / 100, (int)month % 100, 1, 0, 0, 0, DateTimeKind.Utc).AddMonths(1);
            if (until <= before && !await connection.QuerySingleAsync<bool>(Needed, new { until, finalAfter }))
            {
                await connection.ExecuteAsync(Dropped, new { until });
                await shards.Execute($"ALTER TABLE events DROP PARTITION {month}", null, ct);
                dropped.Add(string.Create(CultureInfo.InvariantCulture, $"events_{month / 100}_{month % 100:00}"));
            }
        }

        await DropArrivals(await connection.QuerySingleAsync<DateTime>(Waiting), ct);
        return dropped;
    }

    // By the days in which batches came that have all been counted.
    private async Task DropArrivals(DateTime before, CancellationToken ct)
    {
        var days = new SortedSet<long>();
        await shards.Read(
            "SELECT DISTINCT toInt64(partition) FROM system.parts WHERE database = currentDatabase() AND table = 'arrivals' AND active",
            null,
            row => days.Add(row.GetInt64(0)),
            ct
        );
        foreach (var day in days.Where(day => DateTime.UnixEpoch.AddDays(day + 1) < before))
        {
            await shards.Execute($"ALTER TABLE arrivals DROP PARTITION {day}", null, ct);
        }
    }
}
