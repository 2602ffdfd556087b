using System.Diagnostics;
using Dapper;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// The environments whose events cannot be counted at the moment, because something in them is locked or unreadable. Their batches stay
/// in the queue and are retried separately, while the other environments continue.
/// </summary>
internal sealed class EnvironmentHolds(ILogger logger)
{
    private const string Locked = "locked";
    private const string Failed = "failed";

    private const string Write = """
        INSERT INTO counting_holds AS h (environment_id, reason) VALUES (@environmentId, @reason)
        ON CONFLICT (environment_id) DO UPDATE SET reason = excluded.reason WHERE h.reason <> excluded.reason
        """;

    private const string Remove = "DELETE FROM counting_holds WHERE environment_id = @environmentId";

    // A retry delays the other environments for as long as it takes to fail. The next retry is therefore due after ten times that
    // duration, within these limits.
    private static readonly TimeSpan Soonest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Latest = TimeSpan.FromMinutes(5);

    private readonly Dictionary<long, (Stopwatch Since, TimeSpan Pause, string Reason)> _held = [];

    /// <summary>All held environments.</summary>
    public long[] All => [.. _held.Keys];

    /// <summary>The held environments that are due for a retry.</summary>
    public long[] Due => [.. _held.Where(held => held.Value.Since.Elapsed >= held.Value.Pause).Select(held => held.Key)];

    /// <summary>Whether the failure may concern a single environment rather than the whole database.</summary>
    public static bool MayConcernOne(Exception exception) =>
        Failure.IsLocked(exception)
        || exception is EventStoreUnavailableException { IsRefusal: true }
        || !Failure.IsUnavailable(exception)
        || exception is PostgresException { SqlState: PostgresErrorCodes.QueryCanceled };

    /// <summary>Holds an environment after an attempt that took <paramref name="tried"/> and failed.</summary>
    public async Task Hold(NpgsqlConnection connection, long environmentId, Exception exception, TimeSpan tried)
    {
        var reason = Failure.IsLocked(exception) ? Locked : Failed;
        var wasSo = _held.TryGetValue(environmentId, out var held) && held.Reason == reason;
        _held[environmentId] = (
            Stopwatch.StartNew(),
            TimeSpan.FromTicks(Math.Clamp(10 * tried.Ticks, Soonest.Ticks, Latest.Ticks)),
            reason
        );
        if (!wasSo && reason == Locked)
        {
            logger.EnvironmentLocked(environmentId);
        }
        else if (!wasSo)
        {
            logger.EnvironmentFailed(exception, environmentId);
        }

        await connection.ExecuteAsync(Write, new { environmentId, reason });
    }

    /// <summary>Ends the hold: the environment is aggregated together with the others again.</summary>
    public async Task Release(NpgsqlConnection connection, long environmentId)
    {
        if (_held.Remove(environmentId))
        {
            logger.EnvironmentResumed(environmentId);
            await connection.ExecuteAsync(Remove, new { environmentId });
        }
    }
}
