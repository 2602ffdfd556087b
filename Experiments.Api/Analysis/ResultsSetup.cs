namespace Experiments.Api.Analysis;

/// <summary>Registers the services that compute results, store them and refresh them every hour.</summary>
internal static class ResultsSetup
{
    public static void AddResults(this IServiceCollection services)
    {
        services.AddSingleton<ResultsReader>();
        services.AddSingleton<ResultsService>();
        services.AddSingleton<FullPasses>();
        services.AddSingleton<GroupedResults>();
        services.AddSingleton<MetricTimeline>();
        services.AddScoped<ResultsRefresh>();
        services.AddSingleton<Baseline>();
        services.AddScoped<PlanBaseline>();
        services.AddSingleton<ResultsRefreshJob>();
        services.AddHostedService(provider => provider.GetRequiredService<ResultsRefreshJob>());
    }
}
