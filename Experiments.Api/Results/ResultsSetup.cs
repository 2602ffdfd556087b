namespace Experiments.Api.Results;

/// <summary>What computes results, keeps them, and computes them again every hour.</summary>
internal static class ResultsSetup
{
    public static void AddResults(this IServiceCollection services)
    {
        services.AddSingleton<ResultsStore>();
        services.AddSingleton<Baseline>();
        services.AddSingleton<ResultsWatch>();
        services.AddHostedService(provider => provider.GetRequiredService<ResultsWatch>());
    }
}
