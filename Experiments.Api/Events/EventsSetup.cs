namespace Experiments.Api.Events;

/// <summary>Ingestion: what takes events in, stores them and drops them when they are old.</summary>
internal static class EventsSetup
{
    /// <summary>How long after an experiment's end its late events still count.</summary>
    public static TimeSpan LateEvents(this IConfiguration configuration) => configuration.GetValue("Results:LateEvents", TimeSpan.FromHours(24));

    public static void AddEvents(this IServiceCollection services)
    {
        services.AddSingleton<Partitions>();
        services.AddSingleton<EventLog>();
        services.AddSingleton<Intake>();
        services.AddHostedService<Retention>();
    }
}
