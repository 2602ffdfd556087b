using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Settings;
using FluentValidation;
using MediatR;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Http;

/// <summary>HTTP behaviour that all slices share.</summary>
internal static class HttpSetup
{
    public static void AddHttpRules(this WebApplicationBuilder builder)
    {
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = RequestBody.Patience;
        });

        var services = builder.Services;
        services.ConfigureHttpJsonOptions(options => ApiJson.Configure(options.SerializerOptions));
        services.AddSingleton(TimeProvider.System);
        services.AddScoped<Idempotency>();
        services.AddSingleton<CallerLimiter>();
        services.AddManagementCors();
        services.AddCompressedResponses();
        services.AddRequestTimeouts();
        services
            .AddOptions<RequestTimeoutOptions>()
            .Configure<IOptions<RequestOptions>>((timeouts, requests) => timeouts.DefaultPolicy = Limit(requests.Value.Deadline));
        services.AddSlices();
    }

    /// <summary>A route that may take longer than others.</summary>
    public static RouteHandlerBuilder WithTimeLimit(this RouteHandlerBuilder route, TimeSpan limit)
    {
        route.WithRequestTimeout(Limit(limit));
        return route;
    }

    /// <summary>What every request passes through, outermost first.</summary>
    public static void UseHttpRules(this WebApplication app)
    {
        app.UseResponseCompression();
        app.UseMiddleware<ProblemHandlingMiddleware>();
        app.UseRouting();
        app.Use((http, next) => UnservedRoute.Is(http) ? UnservedRoute.Answer(http) : next(http));
        // Serving routes check the environment key themselves and never wait, so they skip the rest of the pipeline.
        app.UseWhen(
            EnvironmentKeyRoute.IsFor,
            served =>
            {
                served.UseCors();
                served.UseMiddleware<EarlyRefusalMiddleware>();
                served.Run(http => http.GetEndpoint()!.RequestDelegate!(http));
            }
        );
        app.UseManagementCors();
        app.UseMiddleware<EarlyRefusalMiddleware>();
        app.UseRequestTimeouts();
        app.UseRememberedAccess();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseFeatureGate();
    }

    private static RequestTimeoutPolicy Limit(TimeSpan limit) =>
        new()
        {
            Timeout = limit,
            TimeoutStatusCode = StatusCodes.Status503ServiceUnavailable,
            WriteTimeoutResponse = ProblemHandlingMiddleware.TimeOut,
        };

    // The only place that knows how MediatR is registered.
    private static void AddSlices(this IServiceCollection services)
    {
        services.AddScoped<ServiceFactory>(provider => provider.GetService!);
        services.AddScoped<IMediator, Mediator>();
        services.AddScoped(typeof(IPipelineBehavior<,>), typeof(Validation<,>));
        foreach (var type in typeof(HttpSetup).Assembly.GetTypes().Where(type => type is { IsClass: true, IsAbstract: false }))
        {
            foreach (
                var handled in type.GetInterfaces()
                    .Where(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IRequestHandler<,>))
            )
            {
                services.AddScoped(handled, type);
            }
        }

        foreach (var validator in AssemblyScanner.FindValidatorsInAssembly(typeof(HttpSetup).Assembly, includeInternalTypes: true))
        {
            services.AddSingleton(validator.InterfaceType, validator.ValidatorType);
        }
    }
}
