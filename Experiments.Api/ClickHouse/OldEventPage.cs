using System.Globalization;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// A page of old events: those of some identities, in the order in which they are stored. Of a name, ClickHouse has the events in the order
/// of the second half of the identity, so that others need not be read.
/// </summary>
internal sealed class OldEventPage(ClickHouseShards shards, NpgsqlConnection connection, OldEvents page, StoredEvent.Needs needs)
{
    // The places between identities, by the two bytes in the middle.
    private const int Places = 1 << 16;

    // Of so many places, identities are counted to tell how many fit into a page: they are spread evenly.
    private const int Sample = 256;

    // By how much a page may be larger than it should.
    private const int MostOver = 2;

    private const string Which = """
        environment_id = {environment:Int64} AND event IN {names:Array(String)}
            AND identity BETWEEN toUUID({first:String}) AND toUUID({last:String})
        """;

    /// <summary>Reads it. Returns where the next one begins, or null after the last.</summary>
    public async Task<OldEvents.Place?> Read(Action<StoredEvent> take, CancellationToken ct)
    {
        // A place of another store is none here.
        var first = page.After is { Key: > 0 and < Places } after && after.At == DateTime.UnixEpoch ? (int)after.Key : 0;
        var next = await End(first, ct);
        var aliases = needs.AliasesUntil is { } until
            ? await new IdentityAliases(connection).All(page.EnvironmentId, until, first, next - 1)
            : [];
        await using var heartbeat = Heartbeat.Of(connection);
        var rows = new EventRows(needs, aliases);
        await shards.Read(
            $$"""
            SELECT {{rows.Columns}} FROM events FINAL
            PREWHERE {{Which}}
            WHERE {{EventRows.HappenedAt}} BETWEEN {from:Int64} AND {until:Int64}
            """,
            Of(first, next),
            row => take(rows.Of(row)),
            ct
        );
        return next < Places ? new(DateTime.UnixEpoch, next) : null;
    }

    private async Task<int> End(int first, CancellationToken ct)
    {
        await using var heartbeat = Heartbeat.Of(connection);
        var places = Fitting(await Count(Sample), Sample);
        // Elsewhere, there may be more than in the sample.
        for (long events; places > 1 && (events = await Count(places)) > MostOver * page.Size; )
        {
            places = Fitting(events, places);
        }

        return first + places;

        int Fitting(long events, int among) => (int)Math.Clamp((long)page.Size * among / Math.Max(1, events), 1, Places - first);

        Task<long> Count(int among) => shards.Sum($"SELECT toInt64(count()) FROM events WHERE {Which}", Of(first, first + among), ct);
    }

    private Dictionary<string, object> Of(int first, int next) =>
        new()
        {
            ["environment"] = page.EnvironmentId,
            ["names"] = page.Names,
            ["first"] = string.Create(CultureInfo.InvariantCulture, $"00000000-0000-0000-{first:x4}-000000000000"),
            ["last"] = string.Create(CultureInfo.InvariantCulture, $"ffffffff-ffff-ffff-{Math.Min(next, Places) - 1:x4}-ffffffffffff"),
            ["from"] = EventRows.Microseconds(page.From),
            ["until"] = EventRows.Microseconds(page.Until),
        };
}
