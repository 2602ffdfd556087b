namespace Experiments.Api.Results;

/// <summary>What computes results, keeps them, and computes them again every hour.</summary>
internal static class ResultsSetup
{
    public static void AddResults(this IServiceCollection services)
    {
        services.AddSingleton<ResultsService>();
        services.AddScoped<ResultsRefresh>();
        services.AddSingleton<Baseline>();
        services.AddSingleton<ResultsRefreshJob>();
        services.AddHostedService(provider => provider.GetRequiredService<ResultsRefreshJob>());
    }
}
