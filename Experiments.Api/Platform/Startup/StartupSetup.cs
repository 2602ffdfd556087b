namespace Experiments.Api.Platform.Startup;

/// <summary>What runs beside the requests.</summary>
internal static class StartupSetup
{
    public static void AddStartup(this IServiceCollection services)
    {
        services.AddSingleton<Readiness>();
        services.AddSingleton<AdminKeys>();
        services.AddSingleton<DatabaseProbe>();
        services.AddHostedService<GracefulShutdown>();
        services.AddHostedService<DatabaseInitializer>();
        services.AddHostedService<IdempotencyCleanupJob>();
        services.AddHostedService<AuditRetentionJob>();
        services.AddHostedService<SchemaWatch>();
        services.AddSingleton<Instruments>();
    }
}
