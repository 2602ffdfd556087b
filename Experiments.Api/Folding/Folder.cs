using System.Diagnostics;
using Dapper;
using Experiments.Api.Events;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Folding;

/// <summary>Folds events into what is derived from them, soon after they have come, wherever they have come in.</summary>
internal sealed class Folder(Database database, Readiness readiness, IConfiguration configuration, ILoggerFactory loggers) : BackgroundService
{
    // Events that come one after another are taken together.
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(20);

    // After so many events the index is told where the latest batches lie, which it would otherwise learn only from the next vacuum;
    // until then every search looks through all of them.
    private const int Summarise = 10_000;

    // What other replicas have let in is looked for this often.
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);

    private readonly ILogger _logger = loggers.CreateLogger<Folder>();
    private readonly Holds _holds = new(loggers.CreateLogger<Holds>());
    private readonly SemaphoreSlim _called = new(0, 1);
    private long _unsummarised;
    private volatile TaskCompletionSource _caughtUp = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Says that there is something to fold.</summary>
    public void Call()
    {
        if (_called.CurrentCount == 0)
        {
            try
            {
                _called.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody else has called at the same moment.
            }
        }
    }

    /// <summary>Waits until everything that was let in before is folded, but no longer than <paramref name="patience"/>.</summary>
    public async Task CatchUp(TimeSpan patience, CancellationToken ct)
    {
        var caughtUp = _caughtUp.Task;
        Call();
        await Task.WhenAny(caughtUp, Task.Delay(patience, ct));
    }

    /// <summary>Connections for statements that take longer than a request may.</summary>
    public static NpgsqlDataSource Source(Database database, ILoggerFactory? loggers)
    {
        // Where a batch lies only its own number tells, so that a plan for any number would be a bad one; and none is long enough to be compiled.
        var settings = DatabaseSetup.Settings(database.ConnectionString, TimeSpan.FromSeconds(60), DatabaseSetup.Idle, "-c jit=off -c plan_cache_mode=force_custom_plan");
        settings.ApplicationName = "experiments-folder";
        settings.CommandTimeout = 0;
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        builder.UseLoggerFactory(loggers);
        return builder.Build();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await using var source = Source(database, loggers);
        var waiting = new List<TaskCompletionSource>();
        while (!stoppingToken.IsCancellationRequested)
        {
            await _called.WaitAsync(Idle, stoppingToken);
            if (!readiness.HasSchema)
            {
                continue;
            }

            try
            {
                waiting.Add(_caughtUp);
                _caughtUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
                if (await FoldAll(source, stoppingToken))
                {
                    waiting.ForEach(caughtUp => caughtUp.TrySetResult());
                    waiting.Clear();
                }

                await Task.Delay(Settle, stoppingToken);
            }
            catch (Exception exception) when (Failure.IsUnavailable(exception) && !stoppingToken.IsCancellationRequested)
            {
                _logger.LogWarning("Events wait to be folded: {Reason}", exception.Message);
                await Task.Delay(Idle, stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // What cannot be folded now is not lost; whoever operates this must hear of it.
                _logger.LogError(exception, "Events cannot be folded");
                await Task.Delay(Idle, stoppingToken);
            }
        }
    }

    // Whether nothing is left; another replica may be at it.
    private async Task<bool> FoldAll(NpgsqlDataSource source, CancellationToken ct)
    {
        var late = configuration.LateEvents();
        await using var connection = await source.OpenConnectionAsync(ct);
        for (var skipped = new HashSet<long>(); ;)
        {
            // A page of what is old, then a pass over what is new, so that neither waits for all of the other.
            var isOldTaken = false;
            try
            {
                isOldTaken = await new TakeUp(source, connection, late).Page(skipped, _holds.All, ct) is not true;
            }
            catch (Exception exception) when (Holds.MayConcernOne(exception) && !ct.IsCancellationRequested)
            {
                // It concerns one experiment; events of the others go on being folded.
                _logger.Log(Holds.IsLock(exception) ? LogLevel.Debug : LogLevel.Error, exception, "A metric cannot be taken up");
            }

            var taken = await Count(new Pass(source, connection, late), connection, ct);
            if (taken is null || (taken == 0 && isOldTaken))
            {
                return taken == 0;
            }

            if ((_unsummarised += taken.Value) >= Summarise)
            {
                await SummariseNew(connection);
                _unsummarised = 0;
            }
        }
    }

    // Takes what waits, of all environments together, and what was held back when it is time.
    private async Task<int?> Count(Pass pass, NpgsqlConnection connection, CancellationToken ct)
    {
        var due = _holds.Due;
        int? taken = 0;
        try
        {
            taken = await pass.Run(_holds.All, null, ct);
        }
        catch (Exception exception) when (Holds.MayConcernOne(exception) && !ct.IsCancellationRequested)
        {
            taken = await Search(pass, connection, [.. await pass.Environments(_holds.All)], exception, TimeSpan.Zero, ct);
        }

        foreach (var environmentId in due)
        {
            taken += await Try(pass, connection, [environmentId], ct);
        }

        return taken;
    }

    // By halves, so that one in thousands is found in some dozen passes; the one that fails alone is held back.
    private async Task<int?> Search(Pass pass, NpgsqlConnection connection, long[] failing, Exception exception, TimeSpan tried, CancellationToken ct)
    {
        if (failing is [var environmentId])
        {
            await _holds.Hold(connection, environmentId, exception, tried);
            return 0;
        }

        return failing.Length == 0 ? 0
            : await Try(pass, connection, failing[..(failing.Length / 2)], ct) + await Try(pass, connection, failing[(failing.Length / 2)..], ct);
    }

    private async Task<int?> Try(Pass pass, NpgsqlConnection connection, long[] environments, CancellationToken ct)
    {
        var clock = Stopwatch.StartNew();
        try
        {
            var taken = await pass.Run([], environments, ct);
            if (taken is not null && environments is [var environmentId])
            {
                await _holds.Release(connection, environmentId);
            }

            return taken;
        }
        catch (Exception exception) when (Holds.MayConcernOne(exception) && !ct.IsCancellationRequested)
        {
            return await Search(pass, connection, environments, exception, clock.Elapsed, ct);
        }
    }

    private async Task SummariseNew(NpgsqlConnection connection)
    {
        try
        {
            // A vacuum that is at it does the same, and is not to be waited for.
            await connection.ExecuteAsync(
                """
                SET lock_timeout = '50ms';
                SELECT brin_summarize_new_values(i.inhrelid) FROM pg_inherits i WHERE i.inhparent = 'events_batch'::regclass;
                RESET lock_timeout;
                """);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            _logger.LogDebug("A vacuum is at the events");
            await connection.ExecuteAsync("RESET lock_timeout");
        }
    }
}
