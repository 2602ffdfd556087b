namespace Experiments.Api.Ingestion;

/// <summary>Ingestion: what takes events in, stores them and drops them when they are old.</summary>
internal static class IngestionSetup
{
    /// <summary>How long after an experiment's end its late events still count.</summary>
    public static TimeSpan LateEvents(this IConfiguration configuration) =>
        configuration.GetValue("Results:LateEvents", TimeSpan.FromHours(24));

    public static void AddIngestion(this IServiceCollection services)
    {
        services.AddSingleton<Partitions>();
        services.AddSingleton<EventWriter>();
        services.AddSingleton<IngestionLimiter>();
        services.AddHostedService<RetentionJob>();
    }
}
