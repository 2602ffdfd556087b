using System.Diagnostics;
using System.Globalization;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Evaluation;

/// <summary>
/// Keeps the snapshots up to date: listens for notifications from the database, and asks once a second what has changed, in case a
/// notification was lost.
/// </summary>
internal sealed class SnapshotRefresher(
    DatabaseServer database,
    Snapshots snapshots,
    Readiness readiness,
    Instruments instruments,
    ILogger<SnapshotRefresher> logger
) : BackgroundService
{
    /// <summary>How often to ask what has changed.</summary>
    public static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);

    /// <summary>After this long without contact to the database, responses are marked as stale.</summary>
    public static readonly TimeSpan Stale = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(50);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        instruments.Observe(
            "experiments.snapshots.age",
            "s",
            "The time since flags were last confirmed to match the database.",
            () => snapshots.Age.TotalSeconds
        );
        var isAway = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (readiness.HasSchema)
                {
                    await Listen(() => isAway = false, stoppingToken);
                }
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                if (!Failure.IsUnavailable(exception))
                {
                    logger.SnapshotRefreshFailed(exception);
                }
                else if (!isAway)
                {
                    logger.DatabaseUnavailable(exception.Message);
                }

                isAway = true;
                snapshots.CutOff();
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), stoppingToken);
        }
    }

    // Never returns. Throws when the database becomes unavailable.
    private async Task Listen(Action connected, CancellationToken ct)
    {
        var settings = DatabaseSetup.Settings(database.ConnectionString, TimeSpan.FromSeconds(5), DatabaseSetup.Idle);
        (settings.ApplicationName, settings.Pooling, settings.CommandTimeout) = ("experiments-feed", false, 5);
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        var changed = new HashSet<long>();
        connection.Notification += (_, notice) =>
        {
            if (long.TryParse(notice.Payload, NumberStyles.None, CultureInfo.InvariantCulture, out var environmentId))
            {
                changed.Add(environmentId);
            }
        };
        await connection.OpenAsync(ct);
        await using (var listen = new NpgsqlCommand("LISTEN serving", connection))
        {
            await listen.ExecuteNonQueryAsync(ct);
        }

        connected();
        while (true)
        {
            // The first one also covers everything that was announced before the connection started to listen.
            await snapshots.CatchUp(ct);
            var since = Stopwatch.StartNew();
            while (Poll - since.Elapsed is { Ticks: > 0 } left)
            {
                if (!await Wait(connection, left, ct))
                {
                    continue;
                }

                // Notifications come in bursts. After a short delay, one refresh handles them all.
                var flock = Stopwatch.StartNew();
                while (flock.Elapsed < Settle && await Wait(connection, Settle / 5, ct))
                {
                    // Drain further notifications.
                }

                await snapshots.Refresh(changed, ct);
                changed.Clear();
            }
        }
    }

    /// <summary>Waits at most <paramref name="limit"/> for a notification. Returns whether there was one.</summary>
    /// <remarks>
    /// Npgsql truncates the time-out to whole milliseconds and treats 0 as no limit, so a remainder below one millisecond must count as
    /// one.
    /// </remarks>
    internal static Task<bool> Wait(NpgsqlConnection connection, TimeSpan limit, CancellationToken ct) =>
        connection.WaitAsync(TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(limit.TotalMilliseconds))), ct);
}
