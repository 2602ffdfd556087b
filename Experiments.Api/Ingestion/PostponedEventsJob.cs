using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Takes postponed events in, once the store of this service is the one where events are. Whichever replica does it, and however often it
/// begins anew, each event counts once, as any that is sent again.
/// </summary>
internal sealed class PostponedEventsJob(
    PostponedEvents postponed,
    IEventWriter writer,
    Readiness readiness,
    ILogger<PostponedEventsJob> logger
) : PeriodicJob(readiness, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromSeconds(2);

    public override async Task Run(CancellationToken ct)
    {
        try
        {
            while (await postponed.Oldest(ct) is var (environmentId, batch))
            {
                await writer.Add(environmentId, batch, ct);
            }
        }
        catch (EventsMovedException)
        {
            // They move again.
        }
    }
}
