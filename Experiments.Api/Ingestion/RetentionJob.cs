using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Ingestion;

/// <summary>Once an hour, makes room for the events of the coming months and drops old months that no experiment needs.</summary>
internal sealed class RetentionJob(
    IEventRetention retention,
    Readiness readiness,
    IOptions<EventOptions> events,
    IOptions<ResultsOptions> results,
    TimeProvider clock,
    ILogger<RetentionJob> logger
) : PeriodicJob(readiness, logger)
{
    private readonly TimeSpan _kept = events.Value.Retention;

    private readonly TimeSpan _late = results.Value.LateEvents;

    public override async Task Run(CancellationToken ct)
    {
        var now = clock.GetUtcNow().UtcDateTime;
        await retention.Make(now.AddDays(-1), now.AddMonths(2), ct);
        foreach (var name in await retention.Drop(now - _kept, _late, ct))
        {
            logger.PartitionDropped(name, _kept);
        }
    }
}
