using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Platform.Startup;

/// <summary>Removes, once an hour, the Idempotency-Keys that have outlived their day.</summary>
internal sealed class Cleaning(NpgsqlDataSource source, Readiness readiness, ILogger<Cleaning> logger) : BackgroundService
{
    private const string Sql =
        """
        DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '24 hours' LIMIT 5000))
        """;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1));
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (readiness.HasSchema)
                {
                    await using var command = source.CreateCommand(Sql);
                    while (await command.ExecuteNonQueryAsync(stoppingToken) > 0)
                    {
                        // Some at a time, so that no statement takes longer than one may.
                    }
                }
            }
            catch (Exception exception) when (Failure.IsUnavailable(exception) && !stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("Old Idempotency-Keys stay for another hour: {Reason}", exception.Message);
            }
        }
    }
}
