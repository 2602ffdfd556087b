using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Events;

/// <summary>Once an hour, makes the partitions of the months to come and drops those that are old enough and needed by no experiment.</summary>
internal sealed class Retention(Partitions partitions, Readiness readiness, IConfiguration configuration, TimeProvider clock, ILogger<Retention> logger) : BackgroundService
{
    private readonly TimeSpan _kept = configuration.GetValue("Events:Retention", TimeSpan.FromDays(400));

    private readonly TimeSpan _late = configuration.LateEvents();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!readiness.HasSchema)
        {
            await Task.Delay(100, stoppingToken);
        }

        using var timer = new PeriodicTimer(TimeSpan.FromHours(1));
        do
        {
            try
            {
                await Run(stoppingToken);
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException && !stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("Partitions of events stay as they are for another hour: {Reason}", exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task Run(CancellationToken ct)
    {
        var now = clock.GetUtcNow().UtcDateTime;
        await partitions.Make(now.AddDays(-1), now.AddMonths(2), ct);
        foreach (var name in await partitions.Drop(now - _kept, _late, ct))
        {
            logger.LogInformation("Dropped {Partition}: its events are older than {Kept}", name, _kept);
        }
    }
}
