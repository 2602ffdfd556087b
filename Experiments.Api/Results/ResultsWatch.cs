using Dapper;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Results;

/// <summary>Once an hour, computes the results of every experiment that can still change, so that the history has its days and what is completed becomes final.</summary>
internal sealed class ResultsWatch(NpgsqlDataSource source, ResultsStore results, Readiness readiness, ILogger<ResultsWatch> logger) : BackgroundService
{
    private const string Sql =
        """
        SELECT e.id
        FROM experiments e
        LEFT JOIN results r ON r.experiment_id = e.id
        WHERE e.started_at IS NOT NULL AND e.deleted_at IS NULL
          AND (e.ended_at IS NULL OR r.as_of IS NULL OR r.as_of <= e.ended_at + @Late)
          AND (r.as_of IS NULL OR r.as_of < clock_timestamp() - interval '50 minutes')
        ORDER BY e.id
        """;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1));
        await Task.Delay(TimeSpan.FromMinutes(1), stoppingToken);
        do
        {
            try
            {
                if (readiness.HasSchema)
                {
                    await Run(stoppingToken);
                }
            }
            catch (Exception exception) when (Failure.IsUnavailable(exception) && !stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("Results wait for another hour: {Reason}", exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    /// <summary>Computes what is due.</summary>
    public async Task Run(CancellationToken ct)
    {
        List<long> due;
        await using (var connection = await source.OpenConnectionAsync(ct))
        {
            due = (await connection.QueryAsync<long>(Sql, new { results.Late })).AsList();
        }

        foreach (var experimentId in due)
        {
            await results.Compute(experimentId, ct);
        }
    }
}
