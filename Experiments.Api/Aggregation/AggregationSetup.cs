namespace Experiments.Api.Aggregation;

/// <summary>Aggregation: the worker that turns events into exposures, values and sums.</summary>
internal static class AggregationSetup
{
    public static void AddAggregation(this IServiceCollection services)
    {
        services.AddSingleton<UnreadableDefinitions>();
        services.AddSingleton<AggregationWorker>();
        services.AddHostedService(provider => provider.GetRequiredService<AggregationWorker>());
        services.AddHostedService<AggregationSampler>();
    }
}
