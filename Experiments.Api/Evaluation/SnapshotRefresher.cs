using System.Diagnostics;
using System.Globalization;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Evaluation;

/// <summary>
/// Keeps the snapshots true: listens for what the database announces, and reads everything again every ten seconds, in case an
/// announcement was lost with its connection.
/// </summary>
internal sealed class SnapshotRefresher(Database database, Snapshots snapshots, Readiness readiness, ILogger<SnapshotRefresher> logger)
    : BackgroundService
{
    /// <summary>How often everything is read again.</summary>
    public static readonly TimeSpan Poll = TimeSpan.FromSeconds(10);

    /// <summary>Without a word from the database for as long as this, what is served is called stale.</summary>
    public static readonly TimeSpan Stale = Poll + TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(50);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
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

    // Returns never; fails when the database goes away.
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
            // What was announced before this connection listened is in this reading of everything.
            await snapshots.Refresh(null, ct);
            var since = Stopwatch.StartNew();
            while (Poll - since.Elapsed is { Ticks: > 0 } left)
            {
                if (!await Wait(connection, left, ct))
                {
                    continue;
                }

                // Announcements come in flocks; a moment later one reading answers them all.
                var flock = Stopwatch.StartNew();
                while (flock.Elapsed < Settle && await Wait(connection, Settle / 5, ct))
                {
                    // Another one.
                }

                await snapshots.Refresh([.. changed], ct);
                changed.Clear();
            }
        }
    }

    /// <summary>Waits for an announcement, but no longer than <paramref name="limit"/>; says whether there was one.</summary>
    /// <remarks>
    /// Npgsql waits in whole milliseconds, cut off, and takes none of them for ever: what is left of the last one must count as one.
    /// </remarks>
    internal static Task<bool> Wait(NpgsqlConnection connection, TimeSpan limit, CancellationToken ct) =>
        connection.WaitAsync(TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(limit.TotalMilliseconds))), ct);
}
