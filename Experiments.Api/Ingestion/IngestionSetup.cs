using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Ingestion;

/// <summary>Ingestion: receives events, stores them, and drops them when they are old.</summary>
internal static class IngestionSetup
{
    public static void AddIngestion(this IServiceCollection services)
    {
        services.AddSingleton<Partitions>();
        services.AddSingleton<IEventRetention>(provider => provider.GetRequiredService<Partitions>());
        services.AddSingleton<EventWriter>();
        services.AddSingleton(provider => new PostponedEvents(
            provider.GetRequiredService<NpgsqlDataSource>(),
            provider.GetRequiredService<IOptions<EventOptions>>().Value.Store
        ));
        services.AddSingleton<IEventWriter>(provider => new PostponingEventWriter(
            provider.GetRequiredService<EventWriter>(),
            provider.GetRequiredService<PostponedEvents>()
        ));
        services.AddSingleton<EventReceiver>();
        services.AddSingleton(provider => new IngestionShares(provider.GetRequiredService<IOptions<EventOptions>>().Value.ShareByAddress));
        services.AddSingleton(provider => new IngestionLimiter(
            provider.GetRequiredService<IngestionShares>(),
            provider.GetRequiredService<IOptions<EventOptions>>().Value.Store == EventOptions.ClickHouse
                ? IngestionLimiter.AtOnceTogether
                : IngestionLimiter.AtOnce
        ));
        services.AddHostedService<RetentionJob>();
        services.AddHostedService<PostponedEventsJob>();
    }
}
