using System.Collections.Concurrent;
using Dapper;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Warehouse;

/// <summary>
/// The reads of warehouses on this replica: a few at once, one of each project, and apart from the requests that ask for them. A
/// failure is recorded with the experiment, and what was read before stays.
/// </summary>
internal sealed class WarehouseReads(
    NpgsqlDataSource source,
    WarehouseReader reader,
    IOptions<WarehouseOptions> options,
    IHostApplicationLifetime lifetime,
    ILogger<WarehouseReads> logger
) : IDisposable
{
    /// <summary>
    /// Whether an experiment <c>e</c> was never read, or it or its connection has been changed since <c>w</c>, so that it is read again at
    /// once.
    /// </summary>
    public const string IsOutdated = """
        COALESCE(GREATEST(w.as_of, w.error_at) < GREATEST(e.updated_at,
            (SELECT c.updated_at FROM warehouse_connections c WHERE c.id = e.connection_id)), true)
        """;

    // How long after a read, or a failure, the next one is due that nobody has asked for.
    private const string IsDue = $"""
        SELECT n.project_id, clock_timestamp() AS now
        FROM experiments e
        JOIN environments n ON n.id = e.environment_id
        LEFT JOIN warehouse_reads w ON w.experiment_id = e.id
        WHERE e.id = @experimentId AND e.source IS NOT NULL AND e.started_at IS NOT NULL AND e.deleted_at IS NULL
            AND (@isAsked OR GREATEST(w.as_of, w.error_at) < clock_timestamp() - interval '1 minute' OR {IsOutdated})
        """;

    // As of its beginning, like one that succeeds: what is changed while it is read has not been tried.
    private const string Failed = """
        INSERT INTO warehouse_reads (experiment_id, error, error_at)
        SELECT id, @error, @began FROM experiments WHERE id = @experimentId
        ON CONFLICT (experiment_id) DO UPDATE SET error = excluded.error, error_at = excluded.error_at
        """;

    private readonly ConcurrentDictionary<long, Lazy<Task>> _reading = new();
    private readonly SemaphoreSlim _turns = new(options.Value.Concurrent);
    private readonly ConcurrentDictionary<long, SemaphoreSlim> _projects = new();

    /// <summary>
    /// Reads an experiment if it is counted from a warehouse, and waits for it at most for <paramref name="patience"/>. The read goes on
    /// after that.
    /// </summary>
    /// <param name="experimentId">The experiment.</param>
    /// <param name="isAsked">Whether somebody asked for it, so that it is read although it has just been.</param>
    /// <param name="patience">How long to wait.</param>
    /// <param name="ct">Ends the waiting.</param>
    public async Task Read(long experimentId, bool isAsked, TimeSpan patience, CancellationToken ct) =>
        await Task.WhenAny(await Begin(experimentId, isAsked, ct), Task.Delay(patience, ct));

    /// <summary>The same without waiting: the read that has begun, if there is one to do.</summary>
    public async Task<Task> Begin(long experimentId, bool isAsked, CancellationToken ct)
    {
        (long ProjectId, DateTime Now)? due;
        await using (var connection = await source.OpenConnectionAsync(ct))
        {
            due = await connection.QueryFirstOrDefaultAsync<(long, DateTime)?>(IsDue, new { experimentId, isAsked });
        }

        return due is { } read
            ? _reading
                .GetOrAdd(
                    experimentId,
                    id => new(() => Task.Run(() => ReadNow(id, read.ProjectId, read.Now, lifetime.ApplicationStopping)))
                )
                .Value
            : Task.CompletedTask;
    }

    public void Dispose() => _turns.Dispose();

    private async Task ReadNow(long experimentId, long projectId, DateTime began, CancellationToken ct)
    {
        // A project whose warehouse is slow waits for itself alone.
        var own = _projects.GetOrAdd(projectId, _ => new(1));
        try
        {
            await own.WaitAsync(ct);
            await _turns.WaitAsync(ct);
            try
            {
                if (!options.Value.IsOn)
                {
                    throw new WarehouseException("Warehouses are switched off: Warehouse:AllowedHosts is not set.");
                }

                await reader.Read(experimentId, ct);
            }
            finally
            {
                _turns.Release();
                own.Release();
            }
        }
        catch (Exception exception) when (exception is WarehouseException or InvalidOperationException)
        {
            logger.ReadFailed(experimentId, exception.Message);
            await Record(experimentId, began, exception.Message, ct);
        }
        catch (Exception exception) when (Failure.IsUnavailable(exception) || ct.IsCancellationRequested)
        {
            // Our own database, or the host stops. It is read again when it is asked for.
            logger.ReadFailed(experimentId, exception.Message);
            await Record(experimentId, began, "The database of the service was unavailable during the read. It is repeated.", ct);
        }
        catch (Exception exception)
        {
            logger.ReadBroken(exception, experimentId);
            await Record(experimentId, began, "The read failed unexpectedly. The log of the service says why.", ct);
        }
        finally
        {
            _reading.TryRemove(experimentId, out _);
        }
    }

    private async Task Record(long experimentId, DateTime began, string error, CancellationToken ct)
    {
        try
        {
            await using var connection = await source.OpenConnectionAsync(ct);
            await connection.ExecuteAsync(
                Failed,
                new
                {
                    experimentId,
                    began,
                    error,
                }
            );
        }
        catch (Exception exception) when (Failure.IsUnavailable(exception) || ct.IsCancellationRequested)
        {
            logger.ReadFailed(experimentId, exception.Message);
        }
    }
}
