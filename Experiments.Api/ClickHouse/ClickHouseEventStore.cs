using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Events in ClickHouse. What is counted of an identity is always counted from all its events, so that it depends neither on how often nor
/// in which batches they came.
/// </summary>
internal sealed class ClickHouseEventStore(ClickHouseShards shards) : IEventStore
{
    private static readonly Dictionary<string, object> Nothing = [];

    public string Name => EventOptions.ClickHouse;

    // To find the events of the identities that are concerned costs the more, the fewer of them are looked for together.
    public int BatchSize => 500_000;

    public int Rest => 3;

    // What it reads to find the events of some identities is much the same for all of them.
    public bool HasSlots => false;

    public Task Recover(NpgsqlConnection connection) => ArrivalQueue.Recover(connection);

    public async Task<IReadOnlyList<AliasGraph.Statement>> Statements(NpgsqlConnection connection, BatchSet batches, CancellationToken ct)
    {
        var said = new List<(DateTime At, long Key, AliasGraph.Statement Statement)>();
        var rows = new EventRows(new([], [EventNames.Identify, EventNames.CreateAlias], []), []);
        await using (Heartbeat.Of(connection))
        {
            await shards.Read(
                $"""
                SELECT {rows.Columns} {OfBatches(batches)}
                AND event IN ('{EventNames.Identify}', '{EventNames.CreateAlias}') AND identifier <> ''
                """,
                Nothing,
                row =>
                {
                    var stored = rows.Of(row);
                    said.Add((stored.At, stored.Key, Statement(stored)));
                },
                ct
            );
        }

        return [.. said.OrderBy(one => one.At).ThenBy(one => one.Key).Select(one => one.Statement)];
    }

    public Task Count(BatchCount count, CancellationToken ct) => new UnitRecount(shards, count).Run(ct);

    public async Task CountNames(NpgsqlConnection connection, BatchSet batches, CancellationToken ct)
    {
        var found = new List<EventNameCounts.Row>();
        await using (Heartbeat.Of(connection))
        {
            await shards.Read(
                $"""
                SELECT environment_id, event, toInt64(count()), min({EventRows.HappenedAt}), max({EventRows.HappenedAt})
                {OfBatches(batches)} GROUP BY environment_id, event
                """,
                Nothing,
                row =>
                    found.Add(
                        new(
                            row.GetInt64(0),
                            row.GetString(1),
                            row.GetInt64(2),
                            EventRows.Instant(row.GetInt64(3)),
                            EventRows.Instant(row.GetInt64(4))
                        )
                    ),
                ct
            );
        }

        await EventNameCounts.Add(connection, found);
    }

    public Task Tidy(NpgsqlConnection connection, int counted) => Task.CompletedTask;

    public Task<OldEvents.Place?> Page(
        NpgsqlConnection connection,
        OldEvents page,
        StoredEvent.Needs needs,
        Action<StoredEvent> take,
        CancellationToken ct
    ) => new OldEventPage(shards, connection, page, needs).Read(take, ct);

    public Task<IEventReading> Read(NpgsqlDataSource source, NpgsqlConnection locked, long environmentId, CancellationToken ct) =>
        Task.FromResult<IEventReading>(new ClickHouseEventReading(shards, locked, environmentId));

    public async Task<IRecentEvents> Recent(NpgsqlConnection snapshot, RecentEvents which, CancellationToken ct) =>
        await ClickHouseRecentEvents.Begin(shards, which, ct);

    public async Task<IReadOnlyList<EventUse>> Uses(long environmentId, string? feature, string[] events, int days, CancellationToken ct)
    {
        var found = new Dictionary<string, EventUse>();
        await shards.Read(
            $$"""
            WITH toUnixTimestamp64Micro(now64(6)) - {days:Int64} * 86400000000 AS since, shown AS (
                SELECT identity FROM events FINAL
                WHERE environment_id = {environment:Int64} AND event = '$flag_exposure' AND {{EventRows.HappenedAt}} >= since
                  AND identifier <> '' AND ({isAny:Bool} OR lowerUTF8(replaceAll(feature_name, ' ', '_')) = {feature:String})
            )
            SELECT event, toInt64(count()), max({{EventRows.HappenedAt}}), toInt64(countIf(identity IN shown)),
                maxIf({{EventRows.HappenedAt}}, identity IN shown)
            FROM events FINAL
            WHERE environment_id = {environment:Int64} AND event IN {{Literal.List(events)}} AND {{EventRows.HappenedAt}} >= since
            GROUP BY event
            """,
            new Dictionary<string, object>
            {
                ["environment"] = environmentId,
                ["days"] = (long)days,
                ["isAny"] = feature is null,
                ["feature"] = (feature ?? "").ToLowerInvariant().Replace(' ', '_'),
            },
            row =>
            {
                var exposed = row.GetInt64(3);
                var of = new EventUse(
                    row.GetString(0),
                    row.GetInt64(1),
                    EventRows.Instant(row.GetInt64(2)),
                    exposed,
                    exposed > 0 ? EventRows.Instant(row.GetInt64(4)) : null
                );
                found[of.Event] = found.TryGetValue(of.Event, out var others) ? of.And(others) : of;
            },
            ct
        );
        return
        [
            .. events
                .Distinct()
                .Order(StringComparer.Ordinal)
                .Select(name => found.GetValueOrDefault(name) ?? new EventUse(name, 0, null, 0, null)),
        ];
    }

    public async Task<(long Total, IReadOnlyList<IdentityEventRow> Newest)> OfIdentity(
        NpgsqlConnection snapshot,
        long environmentId,
        string[] identifiers,
        int most,
        CancellationToken ct
    )
    {
        var events = new List<(IdentityEventRow Event, long Key)>();
        var parameters = Of(environmentId, identifiers);
        parameters["most"] = (long)most;
        await shards.Read(
            """
            SELECT event, toUnixTimestamp64Milli(at), feature_name, value, traits, metadata, key FROM events FINAL
            WHERE environment_id = {environment:Int64} AND identity IN {identities:Array(UUID)}
            ORDER BY at DESC, key LIMIT {most:Int64}
            """,
            parameters,
            row =>
                events.Add(
                    (
                        new(
                            row.GetString(0),
                            DateTime.UnixEpoch.AddMilliseconds(row.GetInt64(1)),
                            EventRows.Text(row, 2),
                            EventRows.Text(row, 3),
                            EventRows.Text(row, 4),
                            EventRows.Text(row, 5)
                        ),
                        row.GetInt64(6)
                    )
                ),
            ct
        );
        return (
            events.Count < most ? events.Count : await CountOf(environmentId, identifiers, ct),
            [.. events.OrderByDescending(one => one.Event.At).ThenBy(one => one.Key).Take(most).Select(one => one.Event)]
        );
    }

    // A row that says that it was erased takes the place of each, so that a client that retries does not bring it back. What arrivals tell
    // of the identity stays until its day is over: there may be a batch whose events are still to come, and it says no more than the row.
    public async Task<int> Erase(NpgsqlConnection connection, long environmentId, string[] identifiers, CancellationToken ct)
    {
        const string Identity = "WHERE environment_id = {environment:Int64} AND identity IN {identities:Array(UUID)}";
        await using var heartbeat = Heartbeat.Of(connection);
        var count = await CountOf(environmentId, identifiers, ct);
        var parameters = Of(environmentId, identifiers);
        await shards.Execute(
            $"""
            INSERT INTO events (environment_id, event, identity, key, content_at, at, version, is_erased)
            SELECT environment_id, event, identity, key, content_at, min(at), {ulong.MaxValue}, 1 FROM events {Identity}
            GROUP BY environment_id, event, identity, key, content_at
            """,
            parameters,
            ct
        );
        await shards.Execute($"DELETE FROM events {Identity} AND is_erased = 0", parameters, ct);
        return (int)count;
    }

    private Task<long> CountOf(long environmentId, string[] identifiers, CancellationToken ct) =>
        shards.Sum(
            """
            SELECT toInt64(count()) FROM events FINAL
            WHERE environment_id = {environment:Int64} AND identity IN {identities:Array(UUID)}
            """,
            Of(environmentId, identifiers),
            ct
        );

    private static AliasGraph.Statement Statement(StoredEvent stored)
    {
        using var metadata = stored.Metadata is null ? null : StoredJson.Document(stored.Metadata);
        var alias = UnitKey.ValueOf(stored.Event == EventNames.Identify ? "$anon_distinct_id" : "alias", null, metadata?.RootElement);
        return new(stored.EnvironmentId, stored.Event, stored.Identifier!, alias, stored.Batch);
    }

    private static Dictionary<string, object> Of(long environmentId, string[] identifiers) =>
        new() { ["environment"] = environmentId, ["identities"] = Array.ConvertAll(identifiers, Identity.Key) };

    /// <summary>The condition for rows of events that some batches concern.</summary>
    /// <param name="which">The condition for rows of arrivals.</param>
    /// <param name="batches">The batches.</param>
    /// <param name="columns">The columns that both have in common, besides the environment.</param>
    public static string Arrived(string which, BatchSet batches, string columns)
    {
        // Of one environment it need not be compared.
        var common = batches.Environments.Length == 1 ? columns : $"environment_id, {columns}";
        return $"({common}) IN (SELECT {common} FROM arrivals WHERE {which})";
    }

    // The rows that come from these batches and from none before.
    private static string OfBatches(BatchSet batches)
    {
        var (environments, ids) = (Literal.List(batches.Environments), Literal.List(batches.Ids));
        return $"""
            FROM events FINAL
            PREWHERE environment_id IN {environments}
                AND {Arrived($"environment_id IN {environments} AND batch IN {ids}", batches, "event, identity")}
            WHERE toInt64({ClickHouseSchema.LastBatch} - version) IN {ids}
            """;
    }
}
