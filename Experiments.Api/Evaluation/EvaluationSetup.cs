using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Evaluation;

/// <summary>What serving needs beside its routes.</summary>
internal static class EvaluationSetup
{
    public static void AddEvaluation(this IServiceCollection services)
    {
        services.AddCors(cors =>
            cors.AddPolicy(
                EnvironmentKey.Cors,
                policy =>
                    policy
                        .AllowAnyOrigin()
                        .AllowAnyMethod()
                        .AllowAnyHeader()
                        .WithExposedHeaders("ETag", "Retry-After", "X-Request-Id", "Snapshot-Age")
                        .SetPreflightMaxAge(TimeSpan.FromHours(2))
            )
        );
        services.AddSingleton<SnapshotReader>();
        services.AddSingleton<Snapshots>();
        services.AddSingleton<IReadinessCheck, SnapshotReadiness>();
        services.AddSingleton<ChangeStreams>();
        services.AddHostedService(provider => provider.GetRequiredService<ChangeStreams>());
        services.AddSingleton<KeptTraits>();
        services.AddHostedService(provider => provider.GetRequiredService<KeptTraits>());
        services.AddHostedService<SnapshotRefresher>();
        services.AddHostedService<ServingChangesCleanupJob>();
        services.AddHostedService<KeptTraitsCleanupJob>();
    }
}
