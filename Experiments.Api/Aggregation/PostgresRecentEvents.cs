using Dapper;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>A sample of recent events, by the hash of their units.</summary>
internal sealed class PostgresRecentEvents(NpgsqlConnection snapshot, RecentEvents which, long share) : IRecentEvents
{
    private const string Within = $"happened_at BETWEEN @From AND @Until AND at >= @From - {StoredEvent.Slack}";

    private const string Unit = "unit_of(@UnitKey, identifier, traits, metadata)";

    private const string Found = $"SELECT 1 + count(*) / @Enough FROM events WHERE environment_id = @EnvironmentId AND {Within}";

    private const string First = $"""
        SELECT count(*), min(first)
        FROM (
            SELECT min(happened_at) AS first FROM events
            WHERE environment_id = @EnvironmentId AND {Within} AND {Unit} IS NOT NULL
                AND (@share = 1 OR abs(hashtext({Unit})::bigint) % @share = 0)
            GROUP BY {Unit}
        ) i
        WHERE first <= @latest
        """;

    private const string Events = $"""
        SELECT {StoredEvent.Columns} FROM events
        WHERE environment_id = $5 AND happened_at BETWEEN $6 AND $7 AND at >= $6 - {StoredEvent.Slack} AND event = ANY ($8)
            AND ($9 = 1 OR abs(hashtext(unit_of($10, identifier, traits, metadata))::bigint) % $9 = 0)
        """;

    private const string OfUnits = $"""
        SELECT {Unit}, min(happened_at) FROM events
        WHERE environment_id = @EnvironmentId AND {Within} AND {Unit} = ANY (@units) GROUP BY 1
        """;

    public long Share => share;

    public static async Task<PostgresRecentEvents> Begin(NpgsqlConnection snapshot, RecentEvents which) =>
        new(snapshot, which, await snapshot.QuerySingleAsync<long>(Found, which));

    public async Task<(long Units, DateTime? First)> Active(DateTime latest) =>
        await snapshot.QuerySingleAsync<(long, DateTime?)>(
            First,
            new
            {
                which.EnvironmentId,
                which.From,
                which.Until,
                UnitKey = which.UnitKey ?? "",
                share,
                latest,
            }
        );

    public Task Each(string[] names, Action<StoredEvent> take, CancellationToken ct) =>
        StoredEvent.Each(
            snapshot,
            Events,
            new StoredEvent.Needs([], names, which.UnitKey is { } key ? [key] : []),
            take,
            ct,
            new NpgsqlParameter<long> { TypedValue = which.EnvironmentId },
            new NpgsqlParameter<DateTime> { TypedValue = which.From },
            new NpgsqlParameter<DateTime> { TypedValue = which.Until },
            new NpgsqlParameter<string[]> { TypedValue = names },
            new NpgsqlParameter<long> { TypedValue = share },
            new NpgsqlParameter<string> { TypedValue = which.UnitKey ?? "" }
        );

    public async Task<IReadOnlyDictionary<string, DateTime>> FirstOf(string[] units) =>
        (
            await snapshot.QueryAsync<(string Unit, DateTime At)>(
                OfUnits,
                new
                {
                    which.EnvironmentId,
                    which.From,
                    which.Until,
                    UnitKey = which.UnitKey ?? "",
                    units,
                }
            )
        ).ToDictionary(row => row.Unit, row => row.At);
}
