using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Settings;

/// <summary>Binds the settings and validates them when the service starts.</summary>
internal static class SettingsSetup
{
    public static IServiceCollection AddSettings(this IServiceCollection services)
    {
        services
            .Bind<RequestOptions>(RequestOptions.Section)
            .Validate(
                options => options.Deadline > TimeSpan.Zero && options.Deadline <= TimeSpan.FromMinutes(10),
                "Requests:Deadline must be more than 0 and at most 10 minutes, for example 00:00:03."
            )
            .Validate(
                options => options.PerSecond is 0 or (>= 10 and <= 1_000_000),
                "Requests:PerSecond must be 0, or from 10 to 1000000, for example 1000."
            )
            .Validate(
                options => options.FailedSignInsPerMinute is 0 or (>= 1 and <= 1_000_000),
                "Requests:FailedSignInsPerMinute must be 0, or from 1 to 1000000, for example 600."
            )
            .Validate(
                options => options.PublicAddress is not { } address || (address.IsAbsoluteUri && address.Scheme is "http" or "https"),
                "Requests:PublicAddress must be an absolute address, for example https://experiments.example."
            )
            .Validate(
                options => options.Drain >= TimeSpan.Zero && options.Drain <= TimeSpan.FromMinutes(10),
                "Requests:Drain must be from 0 to 10 minutes, for example 00:00:00.500."
            );
        services
            .Bind<EventOptions>(EventOptions.Section)
            .Validate(
                options => options.Retention >= TimeSpan.FromDays(1) && options.Retention <= TimeSpan.FromDays(36_500),
                "Events:Retention must be from 1 day to 100 years, for example 400.00:00:00."
            )
            .Validate(
                options => options.Cluster is not { Length: > 0 } cluster || EventOptions.IsCluster(cluster),
                EventOptions.WrongCluster
            );
        services
            .Bind<CorsOrigins>(CorsOrigins.Section)
            .Validate(
                options => options.List.All(CorsOrigins.IsOrigin) && (options.List.Length == 1 || !options.List.Contains("*")),
                "Cors:Origins must be origins separated by commas, for example https://experiments.example,https://admin.example:8443."
            );
        services
            .Bind<AuditOptions>(AuditOptions.Section)
            .Validate(
                options => options.Retention is not { } kept || (kept >= TimeSpan.FromDays(1) && kept <= TimeSpan.FromDays(36_500)),
                "Audit:Retention must be from 1 day to 100 years, for example 730.00:00:00, or absent to keep everything."
            );
        services
            .Bind<ResultsOptions>(ResultsOptions.Section)
            .Validate(
                options => options.LateEvents >= TimeSpan.Zero && options.LateEvents <= TimeSpan.FromDays(365),
                "Results:LateEvents must be from 0 to 365 days, for example 1.00:00:00."
            )
            .Validate(
                options => options.MinimumInterval >= TimeSpan.Zero && options.MinimumInterval <= TimeSpan.FromDays(1),
                "Results:MinimumInterval must be from 0 to 1 day, for example 00:01:00."
            )
            .Validate(
                options => options.FirstLookAfter >= TimeSpan.FromSeconds(1) && options.FirstLookAfter <= TimeSpan.FromDays(1),
                "Results:FirstLookAfter must be from 1 second to 1 day, for example 00:01:00."
            );
        services
            .Bind<WarehouseOptions>(WarehouseOptions.Section)
            .Validate(
                options => !options.IsOn || options.Key is not null,
                "Warehouse:EncryptionKey must be 32 bytes in base64 when Warehouse:AllowedHosts is set, for example what "
                    + "'openssl rand -base64 32' prints."
            )
            .Validate(
                options => options.TimeLimit >= TimeSpan.FromSeconds(1) && options.TimeLimit <= TimeSpan.FromHours(1),
                "Warehouse:TimeLimit must be from 1 second to 1 hour, for example 00:05:00."
            )
            .Validate(
                options => options.Concurrent is >= 1 and <= 100 && options.MaxRows is >= 1 and <= 10_000_000_000,
                "Warehouse:Concurrent must be from 1 to 100, and Warehouse:MaxRows from 1 to 10000000000."
            );
        return services;
    }

    /// <summary>The validated settings for a command, which has no host.</summary>
    public static ResultsOptions Results(this IConfiguration configuration)
    {
        using var services = new ServiceCollection().AddSingleton(configuration).AddSettings().BuildServiceProvider();
        return services.GetRequiredService<IOptions<ResultsOptions>>().Value;
    }

    private static OptionsBuilder<T> Bind<T>(this IServiceCollection services, string section)
        where T : class => services.AddOptions<T>().BindConfiguration(section).ValidateOnStart();
}
