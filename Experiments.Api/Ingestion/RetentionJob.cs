using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Once an hour, makes the partitions of the months to come and drops those that are old enough and needed by no experiment.
/// </summary>
internal sealed class RetentionJob(
    Partitions partitions,
    Readiness readiness,
    IConfiguration configuration,
    TimeProvider clock,
    ILogger<RetentionJob> logger
) : PeriodicJob(readiness, logger)
{
    private readonly TimeSpan _kept = configuration.GetValue("Events:Retention", TimeSpan.FromDays(400));

    private readonly TimeSpan _late = configuration.LateEvents();

    public override async Task Run(CancellationToken ct)
    {
        var now = clock.GetUtcNow().UtcDateTime;
        await partitions.Make(now.AddDays(-1), now.AddMonths(2), ct);
        foreach (var name in await partitions.Drop(now - _kept, _late, ct))
        {
            logger.LogInformation("Dropped {Partition}: its events are older than {Kept}", name, _kept);
        }
    }
}
