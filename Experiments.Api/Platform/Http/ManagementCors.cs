using Experiments.Api.Platform.Settings;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Http;

/// <summary>Lets the pages of a front end call the management API, if the operator has named their origins.</summary>
internal static class ManagementCors
{
    private const string Policy = "management";

    public static void AddManagementCors(this IServiceCollection services)
    {
        services.AddCors();
        services
            .AddOptions<CorsOptions>()
            .Configure<IOptions<CorsOrigins>>(
                (cors, origins) =>
                    cors.AddPolicy(
                        Policy,
                        policy =>
                            // No credentials: callers send a header of their own, and no cookies.
                            policy
                                .WithOrigins(origins.Value.List)
                                .AllowAnyMethod()
                                .AllowAnyHeader()
                                .WithExposedHeaders("ETag", "Location", "Retry-After", "X-Request-Id", "Idempotent-Replayed")
                                .SetPreflightMaxAge(TimeSpan.FromHours(2))
                    )
            );
    }

    /// <summary>The routes of the group answer pages of these origins.</summary>
    public static RouteGroupBuilder RequireManagementCors(this RouteGroupBuilder group) =>
        IsOn(((IEndpointRouteBuilder)group).ServiceProvider) ? group.RequireCors(Policy) : group;

    public static void UseManagementCors(this WebApplication app)
    {
        if (IsOn(app.Services))
        {
            app.UseCors();
        }
    }

    private static bool IsOn(IServiceProvider services) => services.GetRequiredService<IOptions<CorsOrigins>>().Value.List.Length > 0;
}
