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
    // Of so many places, identities are counted to tell how many fit into a page: they are spread evenly.
    private const int Sample = 256;

    // By how much a page may be larger than it should.
    private const int MostOver = 2;

    /// <summary>Reads it. Returns where the next one begins, or null after the last.</summary>
    public async Task<OldEvents.Place?> Read(Action<StoredEvent> take, CancellationToken ct)
    {
        // A place of another store is none here.
        var first = page.After is { Key: > 0 and < IdentityPlaces.Count } after && after.At == DateTime.UnixEpoch ? (int)after.Key : 0;
        var next = await End(first, ct);
        var aliases = needs.AliasesUntil is { } until
            ? await new IdentityAliases(connection).All(page.EnvironmentId, until, first, next - 1)
            : [];
        await using var heartbeat = Heartbeat.Of(connection);
        var rows = new EventRows(needs, aliases);
        await shards.Read(
            $$"""
            SELECT {{rows.Columns}} FROM events FINAL
            PREWHERE {{Which(first, next)}}
            WHERE {{EventRows.HappenedAt}} BETWEEN {from:Int64} AND {until:Int64}
            """,
            Parameters,
            row => take(rows.Of(row)),
            ct
        );
        return next < IdentityPlaces.Count ? new(DateTime.UnixEpoch, next) : null;
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

        int Fitting(long events, int among) =>
            (int)Math.Clamp((long)page.Size * among / Math.Max(1, events), 1, IdentityPlaces.Count - first);

        Task<long> Count(int among) =>
            shards.Sum($"SELECT toInt64(count()) FROM events WHERE {Which(first, first + among)}", Parameters, ct);
    }

    // Where identities are counted, nothing that happens without one is.
    private string Which(int first, int next) =>
        $$"""
            environment_id = {environment:Int64} AND event IN {{Literal.List(page.Names)}}
                AND {{IdentityPlaces.Between(first, Math.Min(next, IdentityPlaces.Count))}}
                {{(needs.UnitKeys.Length == 0 ? $"AND identity <> '{Guid.Empty}'" : "")}}
            """;

    private Dictionary<string, object> Parameters =>
        new()
        {
            ["environment"] = page.EnvironmentId,
            ["from"] = EventRows.Microseconds(page.From),
            ["until"] = EventRows.Microseconds(page.Until),
        };
}
