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
    /// <summary>Whether an experiment <c>e</c> has never been read as it is by now, so that it is read at once.</summary>
    public const string IsOutdated = $"w.definition IS DISTINCT FROM {ExperimentSourceRow.DefinitionHash}";

    // How long after a read, or a failure, the next one is due that nobody has asked for.
    private const string IsDue = $"""
        SELECT n.project_id, {ExperimentSourceRow.DefinitionHash} AS definition
        FROM experiments e
        JOIN environments n ON n.id = e.environment_id
        LEFT JOIN warehouse_reads w ON w.experiment_id = e.id
        WHERE e.id = @experimentId AND e.source IS NOT NULL AND e.started_at IS NOT NULL AND e.deleted_at IS NULL
            AND (@isAsked OR GREATEST(w.as_of, w.error_at) < clock_timestamp() - interval '1 minute' OR {IsOutdated})
        """;

    // What was changed while it was read has not been tried.
    private const string Failed = """
        INSERT INTO warehouse_reads (experiment_id, error, error_at, definition)
        SELECT id, @error, clock_timestamp(), @definition FROM experiments WHERE id = @experimentId
        ON CONFLICT (experiment_id) DO UPDATE SET error = excluded.error, error_at = excluded.error_at, definition = excluded.definition
        """;

    private readonly ConcurrentDictionary<long, Lazy<Task>> _reading = new();
    private readonly ProjectTurns _turns = new(options.Value.Concurrent, ofProject: 1);

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
        (long ProjectId, string Definition)? due;
        await using (var connection = await source.OpenConnectionAsync(ct))
        {
            due = await connection.QueryFirstOrDefaultAsync<(long, string)?>(IsDue, new { experimentId, isAsked });
        }

        return due is { } read
            ? _reading
                .GetOrAdd(
                    experimentId,
                    id => new(() => Task.Run(() => ReadNow(id, read.ProjectId, read.Definition, lifetime.ApplicationStopping)))
                )
                .Value
            : Task.CompletedTask;
    }

    public void Dispose() => _turns.Dispose();

    private async Task ReadNow(long experimentId, long projectId, string definition, CancellationToken ct)
    {
        try
        {
            using var turn = await _turns.Take(projectId, Timeout.InfiniteTimeSpan, ct);
            if (!options.Value.IsOn)
            {
                throw new WarehouseException("Warehouses are switched off: Warehouse:AllowedHosts is not set.");
            }

            await reader.Read(experimentId, ct);
        }
        catch (Exception exception) when (exception is WarehouseException or InvalidOperationException)
        {
            logger.ReadFailed(experimentId, exception.Message);
            await Record(experimentId, definition, exception.Message, ct);
        }
        catch (Exception exception) when (Failure.IsUnavailable(exception) || ct.IsCancellationRequested)
        {
            // Our own database, or the host stops. It is read again when it is asked for.
            logger.ReadFailed(experimentId, exception.Message);
            await Record(experimentId, definition, "The database of the service was unavailable during the read. It is repeated.", ct);
        }
        catch (Exception exception)
        {
            logger.ReadBroken(exception, experimentId);
            await Record(experimentId, definition, "The read failed unexpectedly. The log of the service says why.", ct);
        }
        finally
        {
            _reading.TryRemove(experimentId, out _);
        }
    }

    private async Task Record(long experimentId, string definition, string error, CancellationToken ct)
    {
        try
        {
            await using var connection = await source.OpenConnectionAsync(ct);
            await connection.ExecuteAsync(
                Failed,
                new
                {
                    experimentId,
                    definition,
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
