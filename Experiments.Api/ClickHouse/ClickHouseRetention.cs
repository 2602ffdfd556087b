using System.Globalization;
using Dapper;
using Experiments.Api.Ingestion;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>Drops months of events in ClickHouse. It makes room for new ones by itself.</summary>
internal sealed class ClickHouseRetention(ClickHouseServer server, NpgsqlDataSource source) : IEventRetention
{
    public Task Make(DateTime first, DateTime last, CancellationToken ct) => Task.CompletedTask;

    public async Task<IReadOnlyList<string>> Drop(DateTime before, TimeSpan finalAfter, CancellationToken ct)
    {
        var months = new List<uint>();
        await server.Read(
            "SELECT DISTINCT toYYYYMM(min_time) FROM system.parts WHERE database = currentDatabase() AND table = 'events' AND active",
            new Dictionary<string, object>(),
            row => months.Add((uint)row.GetValue(0)),
            ct
        );
        var dropped = new List<string>();
        await using var connection = await source.OpenConnectionAsync(ct);
        foreach (var month in months.Order())
        {
            var until = new DateTime((int)month / 100, (int)month % 100, 1, 0, 0, 0, DateTimeKind.Utc).AddMonths(1);
            if (
                until <= before
                && !await connection.QuerySingleAsync<bool>("SELECT events_are_needed(@until, @finalAfter)", new { until, finalAfter })
            )
            {
                await server.Execute(
                    "INSERT INTO dropped SELECT fromUnixTimestamp64Milli({until:Int64})",
                    new Dictionary<string, object> { ["until"] = EventRows.Microseconds(until) / 1000 },
                    ct
                );
                await server.Execute($"ALTER TABLE events DROP PARTITION {month}", new Dictionary<string, object>(), ct);
                dropped.Add(string.Create(CultureInfo.InvariantCulture, $"events_{month / 100}_{month % 100:00}"));
            }
        }

        return dropped;
    }
}
