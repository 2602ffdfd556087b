using Experiments.Api.Platform.Data;

namespace Experiments.Api.Platform.Startup;

/// <summary>
/// Asks every few seconds whether the schema is still the one that this build needs. While an operator has migrated it down, everything but
/// liveness answers 503.
/// </summary>
internal sealed class SchemaWatch(DatabaseProbe database, Readiness readiness, ILogger<SchemaWatch> logger) : BackgroundService
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Only once it has been right. Until then it is being migrated.
        for (var wasRight = false; await PeriodicJob.Wait(Interval, stoppingToken); wasRight |= readiness.HasSchema)
        {
            if (wasRight)
            {
                await Look(stoppingToken);
            }
        }
    }

    private async Task Look(CancellationToken ct)
    {
        try
        {
            var isRight = await database.HasSchema(ct);
            if (isRight != readiness.HasSchema)
            {
                readiness.HasSchema = isRight;
                logger.SchemaChanged(
                    isRight ? "as this build needs it" : "older than this build needs; answering 503 until it is migrated"
                );
            }
        }
        catch (Exception exception) when (Failure.IsUnavailable(exception))
        {
            // Unavailable, which says nothing of the schema.
        }
    }
}
