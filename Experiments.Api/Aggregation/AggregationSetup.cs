using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Aggregation;

/// <summary>Aggregation: the worker that turns events into exposures, values and sums.</summary>
internal static class AggregationSetup
{
    public static void AddAggregation(this IServiceCollection services)
    {
        services.AddSingleton<UnreadableDefinitions>();
        services.AddSingleton<IEventStore, PostgresEventStore>();
        services.AddSingleton<AggregationWorker>();
        services.AddHostedService(provider => provider.GetRequiredService<AggregationWorker>());
        services.AddHostedService<AggregationSampler>();
        services.AddSingleton(provider => new IdentityErasure(
            provider.GetRequiredService<DatabaseServer>(),
            provider.GetRequiredService<IEventStore>(),
            provider.GetRequiredService<IOptions<ResultsOptions>>().Value.LateEvents
        ));
    }
}
