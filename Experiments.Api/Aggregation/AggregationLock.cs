using Dapper;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>The lock that lets one transaction at a time aggregate.</summary>
internal static class AggregationLock
{
    /// <summary>
    /// Makes this transaction the only one that aggregates. Returns false if another transaction holds the lock. Waits at most 100 ms for
    /// any other lock.
    /// </summary>
    public static Task<bool> Take(NpgsqlConnection connection) =>
        connection.QuerySingleAsync<bool>(
            "SELECT pg_try_advisory_xact_lock(hashtext('aggregation')) AND set_config('lock_timeout', '100ms', true) IS NOT NULL"
        );

    /// <summary>The same for a rebuild, whose duration grows with the number of events or identities.</summary>
    public static async Task<bool> TakeForRebuild(NpgsqlConnection connection)
    {
        if (!await Take(connection))
        {
            return false;
        }

        await connection.ExecuteAsync("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'");
        return true;
    }
}
