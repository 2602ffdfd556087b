using Dapper;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Adds to the counts of events by name.</summary>
internal static class EventNameCounts
{
    /// <summary>What adds rows with the columns environment_id, event, count, first_seen and last_seen to those that are there.</summary>
    public const string OnConflict = """
        ON CONFLICT (environment_id, event) DO UPDATE SET
            count = n.count + excluded.count, first_seen = LEAST(n.first_seen, excluded.first_seen),
                last_seen = GREATEST(n.last_seen, excluded.last_seen)
        """;

    private const string Sql = $"""
        INSERT INTO event_names AS n (environment_id, event, count, first_seen, last_seen)
        SELECT environment_id, event, sum(count)::bigint, min(first_seen), max(last_seen)
        FROM unnest(@Environments, @Events, @Counts, @First, @Last) AS e(environment_id, event, count, first_seen, last_seen)
        GROUP BY environment_id, event
        {OnConflict}
        """;

    /// <summary>Adds rows, of which several may be of one name.</summary>
    public static async Task Add(NpgsqlConnection connection, IReadOnlyCollection<Row> rows)
    {
        if (rows.Count > 0)
        {
            await connection.ExecuteAsync(
                Sql,
                new
                {
                    Environments = new Column<long>(rows.Select(row => row.EnvironmentId)),
                    Events = new Column<string>(rows.Select(row => row.Event)),
                    Counts = new Column<long>(rows.Select(row => row.Count)),
                    First = new Column<DateTime>(rows.Select(row => row.First)),
                    Last = new Column<DateTime>(rows.Select(row => row.Last)),
                }
            );
        }
    }

    /// <summary>How many events of a name there are, and when the first and the last of them happened.</summary>
    internal sealed record Row(long EnvironmentId, string Event, long Count, DateTime First, DateTime Last);
}
