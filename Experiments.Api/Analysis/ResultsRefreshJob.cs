using Dapper;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Experiments.Api.Warehouse;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>
/// Once an hour, computes the results of every experiment that can still change, so that the history has an entry for each day and
/// completed experiments become final.
/// </summary>
internal sealed class ResultsRefreshJob(
    NpgsqlDataSource source,
    ResultsService results,
    WarehouseReads warehouse,
    Readiness readiness,
    IOptions<ResultsOptions> options,
    ILogger<ResultsRefreshJob> logger
) : PeriodicJob(readiness, logger)
{
    private const string Sql = $"""
        SELECT e.id, e.source IS NOT NULL AS is_of_warehouse
        FROM experiments e
        JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
        LEFT JOIN results r ON r.experiment_id = e.id
        WHERE e.started_at IS NOT NULL AND e.deleted_at IS NULL
          AND NOT ({ResultsService.IsFinal})
          AND (r.looked_at IS NULL OR r.looked_at < clock_timestamp() - interval '50 minutes')
        ORDER BY e.id
        """;

    private readonly SemaphoreSlim _turn = new(1);

    protected override TimeSpan FirstRunAfter => options.Value.FirstLookAfter;

    public override async Task Run(CancellationToken ct)
    {
        List<(long Id, bool IsOfWarehouse)> due;
        await using (var connection = await source.OpenConnectionAsync(ct))
        {
            due = (await connection.QueryAsync<(long, bool)>(Sql, new { results.Late })).AsList();
        }

        // A slow warehouse holds up nobody's look but its own.
        foreach (var (experimentId, _) in due.Where(one => one.IsOfWarehouse))
        {
            _ = LookOnceRead(experimentId, ct);
        }

        foreach (var (experimentId, _) in due.Where(one => !one.IsOfWarehouse))
        {
            await Look(experimentId, ct);
        }
    }

    private async Task LookOnceRead(long experimentId, CancellationToken ct)
    {
        try
        {
            // Whoever waits for a read holds nothing.
            var read = await OneAtATime(() => warehouse.Begin(experimentId, isAsked: false, ct), ct);
            await read.WaitAsync(ct);
            await OneAtATime(
                async () =>
                {
                    await Look(experimentId, ct);
                    return true;
                },
                ct
            );
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            logger.LookFailed(exception, experimentId);
        }
        catch (OperationCanceledException)
        {
            // The host stops.
        }
    }

    private async Task<T> OneAtATime<T>(Func<Task<T>> work, CancellationToken ct)
    {
        await _turn.WaitAsync(ct);
        try
        {
            return await work();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Computes the results of one experiment and keeps their evidence.</summary>
    public async Task Look(long experimentId, CancellationToken ct)
    {
        // A reader who computes at the same moment takes no look away.
        for (var attempt = 1; await results.Compute(experimentId, isLook: true, ct) == Computation.Busy && attempt < 20; attempt++)
        {
            await Task.Delay(100, ct);
        }
    }
}
