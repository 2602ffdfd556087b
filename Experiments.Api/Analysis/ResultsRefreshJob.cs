using Dapper;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
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
    Readiness readiness,
    IOptions<ResultsOptions> options,
    ILogger<ResultsRefreshJob> logger
) : PeriodicJob(readiness, logger)
{
    private const string Sql = $"""
        SELECT e.id
        FROM experiments e
        JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
        LEFT JOIN results r ON r.experiment_id = e.id
        WHERE e.started_at IS NOT NULL AND e.deleted_at IS NULL
          AND (e.ended_at IS NULL OR r.as_of IS NULL OR r.as_of <= e.ended_at + e.windows_run_on + @Late + interval '10 seconds'
              OR NOT {ResultsService.HasAllMetrics})
          AND (r.looked_at IS NULL OR r.looked_at < clock_timestamp() - interval '50 minutes')
        ORDER BY e.id
        """;

    protected override TimeSpan FirstRunAfter => options.Value.FirstLookAfter;

    public override async Task Run(CancellationToken ct)
    {
        List<long> due;
        await using (var connection = await source.OpenConnectionAsync(ct))
        {
            due = (await connection.QueryAsync<long>(Sql, new { results.Late })).AsList();
        }

        foreach (var experimentId in due)
        {
            await Look(experimentId, ct);
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
