using Dapper;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// The locks that let one transaction at a time aggregate an environment, or some that each aggregate other slots of it.
/// </summary>
internal static class AggregationLock
{
    /// <summary>The two keys of the lock of an environment <c>e</c>, as in <c>take_environment</c>.</summary>
    public const string Keys = "hashtext('aggregation'), hashint8(e.environment_id)";

    private const string Patience = "set_config('lock_timeout', '100ms', true) IS NOT NULL";

    /// <summary>
    /// Makes this transaction the only one that aggregates the environment of an experiment. Returns false if another transaction does;
    /// those that aggregate slots of it are waited for. Waits at most 100 ms for any other lock.
    /// </summary>
    public static Task<bool> Take(NpgsqlConnection connection, long experimentId) =>
        connection.QuerySingleAsync<bool>(
            $"""
            SELECT COALESCE((SELECT take_environment(e.environment_id) FROM experiments e WHERE e.id = @experimentId), true) AND {Patience}
            """,
            new { experimentId }
        );

    /// <summary>The same for an environment.</summary>
    public static Task<bool> TakeEnvironment(NpgsqlConnection connection, long environmentId) =>
        connection.QuerySingleAsync<bool>($"SELECT take_environment(@environmentId) AND {Patience}", new { environmentId });

    /// <summary>
    /// Makes this transaction, which has aggregated slots of these environments, the only one that adds to their counts and sums. That is
    /// the last that each does, so the wait is short.
    /// </summary>
    public static Task Post(NpgsqlConnection connection, long[] environments) =>
        connection.ExecuteAsync(
            """
            SET LOCAL lock_timeout = '10s';
            SELECT pg_advisory_xact_lock(hashtext('aggregation sums'), hashint8(id)) FROM unnest(@environments) AS id ORDER BY id;
            SET LOCAL lock_timeout = '100ms';
            """,
            new { environments }
        );

    /// <summary>For work whose duration grows with the number of events or identities. It waits longer for other locks, too.</summary>
    public static Task Extend(NpgsqlConnection connection) =>
        connection.ExecuteAsync("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'");
}
