using Experiments.Api.Platform.Data;

namespace Experiments.Api.Platform.Startup;

/// <summary>What runs beside the requests.</summary>
internal static class StartupSetup
{
    public static void AddStartup(this IServiceCollection services, EmbeddedPostgres? embedded)
    {
        services.AddSingleton<Readiness>();
        services.AddSingleton<AdminKeys>();
        services.AddScoped<Demo>();
        if (embedded is not null)
        {
            // Made by the container, so that it is also disposed by it, after everything that uses it.
            services.AddSingleton(_ => embedded);
        }

        services.AddHostedService<Drain>();
        services.AddHostedService<Preparation>();
        services.AddHostedService<Cleaning>();
    }
}
