using System.Diagnostics;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>The background job that aggregates new events into exposures, unit metrics and sums, whichever replica ingested them.</summary>
internal sealed class AggregationWorker(
    DatabaseServer database,
    IEventStore store,
    Readiness readiness,
    IOptions<ResultsOptions> options,
    UnreadableDefinitions unreadable,
    ILoggerFactory loggers
) : BackgroundService
{
    // Events that arrive within this time of each other are aggregated together.
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(20);

    // How often to look for events that other replicas have ingested.
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);

    // However long counting takes, something is counted as often as this.
    private static readonly TimeSpan LongestRest = TimeSpan.FromMinutes(5);

    // How long windows that are over may be taken into account before it is the events' turn again.
    private static readonly TimeSpan Budget = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a statement of aggregation may run.</summary>
    public static readonly TimeSpan LongestStatement = TimeSpan.FromSeconds(60);

    // Another one in each process, so that claim_environments can tell how many there are.
    private static readonly string ApplicationName = $"experiments-aggregation-{Guid.NewGuid():N}";

    private static readonly TimeSpan Unreadable = TimeSpan.FromMinutes(5);

    private readonly ILogger _logger = loggers.CreateLogger<AggregationWorker>();
    private readonly EnvironmentHolds _holds = new(loggers.CreateLogger<EnvironmentHolds>());
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly Stopwatch _sinceMatured = new();
    private readonly Dictionary<long, TimeSpan> _postponed = [];
    private volatile TaskCompletionSource _caughtUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile TaskCompletionSource _isAskedFor = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Wakes the worker because there are new events.</summary>
    public void Notify()
    {
        if (_wake.CurrentCount == 0)
        {
            try
            {
                _wake.Release();
            }
            catch (SemaphoreFullException)
            {
                // Another thread has just woken the worker.
            }
        }
    }

    /// <summary>Waits at most <paramref name="patience"/> for everything ingested before this call to be aggregated.</summary>
    public async Task CatchUp(TimeSpan patience, CancellationToken ct)
    {
        var caughtUp = _caughtUp.Task;
        _isAskedFor.TrySetResult();
        Notify();
        await Task.WhenAny(caughtUp, Task.Delay(patience, ct));
    }

    /// <summary>Connections for statements that may run longer than the request deadline.</summary>
    /// <param name="database">The database.</param>
    /// <param name="loggers">For what the driver logs.</param>
    /// <param name="name">The name by which the database knows them.</param>
    public static NpgsqlDataSource Source(DatabaseServer database, ILoggerFactory? loggers, string name = "experiments-recount")
    {
        // No statement runs long enough for JIT compilation to pay off. The identities of a batch fit into the memory for a hash.
        var settings = DatabaseSetup.Settings(
            database.ConnectionString,
            LongestStatement,
            DatabaseSetup.Idle,
            "-c jit=off -c work_mem=64MB"
        );
        // Only the actual ids of batches tell where they are stored, so each statement is planned for its own. Functions say so
        // themselves where it matters; plan_cache_mode would also plan the check of each foreign key again for every row.
        settings.MaxAutoPrepare = 0;
        settings.ApplicationName = name;
        settings.CommandTimeout = 0;
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        builder.UseLoggerFactory(loggers);
        return builder.Build();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await CountAll(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What waits is counted by another replica, or when this one is started again.
        }
    }

    private async Task CountAll(CancellationToken stoppingToken)
    {
        await using var source = Source(database, loggers, ApplicationName);
        var waiting = new List<TaskCompletionSource>();
        while (!stoppingToken.IsCancellationRequested)
        {
            await _wake.WaitAsync(Idle, stoppingToken);
            if (!readiness.HasSchema)
            {
                continue;
            }

            try
            {
                waiting.Add(_caughtUp);
                _caughtUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _isAskedFor = new(TaskCreationOptions.RunContinuationsAsynchronously);
                var began = _clock.Elapsed;
                if (await AggregateAll(source, stoppingToken))
                {
                    waiting.ForEach(caughtUp => caughtUp.TrySetResult());
                    waiting.Clear();
                }

                await Task.Delay(Settle, stoppingToken);
                var rest = store.Rest * (_clock.Elapsed - began);
                await Task.WhenAny(_isAskedFor.Task, Task.Delay(rest < LongestRest ? rest : LongestRest, stoppingToken));
            }
            catch (Exception exception) when (Failure.IsUnavailable(exception) && !stoppingToken.IsCancellationRequested)
            {
                _logger.DatabaseUnavailable(exception.Message);
                await Task.Delay(Idle, stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // The events stay in the queue, so nothing is lost. The operator must be told.
                _logger.AggregationFailed(exception);
                await Task.Delay(Idle, stoppingToken);
            }
        }
    }

    // Whether the queue is empty. False when another replica aggregates what is left.
    private async Task<bool> AggregateAll(NpgsqlDataSource source, CancellationToken ct)
    {
        var late = options.Value.LateEvents;
        await using var connection = await source.OpenConnectionAsync(ct);
        await store.Recover(connection);
        for (var skipped = new HashSet<long>(); ; )
        {
            await LetMature(source, connection, ct);
            // Backfill and new events alternate, one page and one batch at a time, so that neither has to wait for the other to finish.
            var isBackfilled = false;
            try
            {
                isBackfilled =
                    await new MetricBackfill(new(store, source, connection, late, unreadable)).Page(skipped, _holds.All, ct) is false;
            }
            catch (Exception exception) when (EnvironmentHolds.MayConcernOne(exception) && !ct.IsCancellationRequested)
            {
                // This affects one experiment. The others are aggregated as usual.
                if (Failure.IsLocked(exception))
                {
                    _logger.BackfillLocked(exception);
                }
                else
                {
                    _logger.BackfillFailed(exception);
                }
            }

            var taken = await Count(new AggregationBatch(store, source, connection, late, unreadable), connection, ct);
            if (taken is null || (taken == 0 && isBackfilled))
            {
                return taken == 0;
            }

            await store.Tidy(connection, taken.Value);
        }
    }

    // At most once a second, and for a short while, so that events are aggregated in between. An experiment that fails holds up no other:
    // it is tried again after ten times as long as that took, and one that can't be read after some minutes.
    private async Task LetMature(NpgsqlDataSource source, NpgsqlConnection connection, CancellationToken ct)
    {
        if (_sinceMatured.IsRunning && _sinceMatured.Elapsed < Idle)
        {
            return;
        }

        _sinceMatured.Restart();
        foreach (var (experimentId, until) in _postponed.ToList())
        {
            if (until <= _clock.Elapsed)
            {
                _postponed.Remove(experimentId);
            }
        }

        var windows = new WindowClock(source, connection, unreadable);
        foreach (var experimentId in await windows.Experiments([.. _postponed.Keys], _holds.All))
        {
            var began = _clock.Elapsed;
            try
            {
                switch (await windows.Advance(experimentId, ct))
                {
                    // Null: another replica aggregates its environment, and does this as well.
                    case false:
                        _postponed[experimentId] = began + Unreadable;
                        break;
                }
            }
            catch (Exception exception) when (EnvironmentHolds.MayConcernOne(exception) && !ct.IsCancellationRequested)
            {
                _logger.MaturingFailed(exception);
                _postponed[experimentId] = _clock.Elapsed + (10 * (_clock.Elapsed - began)) + Idle;
            }

            if (_sinceMatured.Elapsed > Budget)
            {
                return;
            }
        }
    }

    // Aggregates one batch for all environments together, and retries the held environments that are due.
    private async Task<int?> Count(AggregationBatch batch, NpgsqlConnection connection, CancellationToken ct)
    {
        var due = _holds.Due;
        int? taken = 0;
        try
        {
            taken = await batch.Run(_holds.All, null, ct);
        }
        catch (Exception exception) when (EnvironmentHolds.MayConcernOne(exception) && !ct.IsCancellationRequested)
        {
            taken = await Search(batch, connection, [.. await batch.Environments(_holds.All)], exception, TimeSpan.Zero, ct);
        }

        foreach (var environmentId in due)
        {
            taken += await Try(batch, connection, [environmentId], ct);
        }

        return taken;
    }

    // A binary search: it finds one failing environment among thousands in about a dozen batches. Only the environment that fails on its
    // own is held.
    private async Task<int?> Search(
        AggregationBatch batch,
        NpgsqlConnection connection,
        long[] failing,
        Exception exception,
        TimeSpan tried,
        CancellationToken ct
    )
    {
        if (failing is [var environmentId])
        {
            await _holds.Hold(connection, environmentId, exception, tried);
            return 0;
        }

        return failing.Length == 0
            ? 0
            : await Try(batch, connection, failing[..(failing.Length / 2)], ct)
                + await Try(batch, connection, failing[(failing.Length / 2)..], ct);
    }

    private async Task<int?> Try(AggregationBatch batch, NpgsqlConnection connection, long[] environments, CancellationToken ct)
    {
        var clock = Stopwatch.StartNew();
        try
        {
            var taken = await batch.Run([], environments, ct);
            if (taken is not null && environments is [var environmentId])
            {
                await _holds.Release(connection, environmentId);
            }

            return taken;
        }
        catch (Exception exception) when (EnvironmentHolds.MayConcernOne(exception) && !ct.IsCancellationRequested)
        {
            return await Search(batch, connection, environments, exception, clock.Elapsed, ct);
        }
    }
}
