using Experiments.Api.Folding;
using Experiments.Api.Results;

namespace Experiments.Api.Events;

/// <summary>What takes events in, folds them and lets go of them.</summary>
internal static class EventsSetup
{
    public static void AddEvents(this IServiceCollection services)
    {
        services.AddSingleton<Partitions>();
        services.AddSingleton<EventLog>();
        services.AddSingleton<Intake>();
        services.AddSingleton<Folder>();
        services.AddHostedService(provider => provider.GetRequiredService<Folder>());
        services.AddHostedService<Retention>();
        services.AddSingleton<ResultsStore>();
        services.AddSingleton<Baseline>();
        services.AddSingleton<ResultsWatch>();
        services.AddHostedService(provider => provider.GetRequiredService<ResultsWatch>());
    }
}
