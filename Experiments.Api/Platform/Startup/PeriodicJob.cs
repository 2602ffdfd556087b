using Experiments.Api.Platform.Data;

namespace Experiments.Api.Platform.Startup;

/// <summary>A job that runs once an hour. A failed run is logged and retried an hour later. No failure stops the host.</summary>
internal abstract class PeriodicJob(Readiness readiness, ILogger logger) : BackgroundService
{
    protected virtual TimeSpan Interval => TimeSpan.FromHours(1);

    /// <summary>How long after the start the first run is.</summary>
    protected virtual TimeSpan FirstRunAfter => TimeSpan.Zero;

    /// <summary>Does what is due.</summary>
    public abstract Task Run(CancellationToken ct);

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        for (var pause = FirstRunAfter; await Wait(pause, stoppingToken); pause = Interval)
        {
            while (!readiness.HasSchema && await Wait(TimeSpan.FromMilliseconds(100), stoppingToken))
            {
                // The schema is being migrated, or the database is unavailable.
            }

            try
            {
                await Run(stoppingToken);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (Failure.IsUnavailable(exception))
            {
                logger.JobDelayed(GetType().Name, exception.Message, Interval);
            }
            catch (Exception exception)
            {
                logger.JobFailed(exception, GetType().Name, Interval);
            }
        }
    }

    /// <summary>Does what is due in chunks, so that no statement exceeds the time limit.</summary>
    /// <param name="some">Does a chunk, and says how many rows that were.</param>
    protected static async Task InChunks(Func<Task<int>> some)
    {
        while (await some() > 0) { }
    }

    /// <summary>Waits. Returns false when the host stops.</summary>
    internal static async Task<bool> Wait(TimeSpan pause, CancellationToken ct)
    {
        await Task.Delay(pause, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !ct.IsCancellationRequested;
    }
}
