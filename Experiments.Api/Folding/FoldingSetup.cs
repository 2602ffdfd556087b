namespace Experiments.Api.Folding;

/// <summary>Aggregation: the worker that turns events into exposures, values and sums.</summary>
internal static class FoldingSetup
{
    public static void AddFolding(this IServiceCollection services)
    {
        services.AddSingleton<Folder>();
        services.AddHostedService(provider => provider.GetRequiredService<Folder>());
    }
}
