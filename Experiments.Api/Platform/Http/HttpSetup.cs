using Experiments.Api.Platform.Access;
using FluentValidation;
using MediatR;

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
        services.AddSlices();
    }

    /// <summary>A route that may take longer than others.</summary>
    public static RouteHandlerBuilder WithTimeLimit(this RouteHandlerBuilder route, TimeSpan limit)
    {
        route.WithMetadata(new TimeLimit(limit));
        return route;
    }

    /// <summary>What every request passes through, outermost first.</summary>
    public static void UseHttpRules(this WebApplication app)
    {
        app.UseResponseCompression();
        app.Use(ServeHeadAsGet);
        app.UseRouting();
        app.UseMiddleware<ProblemHandlingMiddleware>();
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
        app.UseRememberedAccess();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseFeatureGate();
    }

    // The server still knows that it was HEAD, and sends no body.
    private static Task ServeHeadAsGet(HttpContext http, RequestDelegate next)
    {
        if (HttpMethods.IsHead(http.Request.Method))
        {
            http.Request.Method = HttpMethods.Get;
        }

        return next(http);
    }

    // The only place that knows how MediatR is registered. Transient: a request sends one command, so there is nothing to share in it.
    private static void AddSlices(this IServiceCollection services)
    {
        services.AddTransient<ServiceFactory>(provider => provider.GetService!);
        services.AddTransient<IMediator, Mediator>();
        services.AddTransient(typeof(IPipelineBehavior<,>), typeof(Validation<,>));
        foreach (var type in typeof(HttpSetup).Assembly.GetTypes().Where(type => type is { IsClass: true, IsAbstract: false }))
        {
            foreach (
                var handled in type.GetInterfaces()
                    .Where(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IRequestHandler<,>))
            )
            {
                services.AddTransient(handled, type);
            }
        }

        foreach (var validator in AssemblyScanner.FindValidatorsInAssembly(typeof(HttpSetup).Assembly, includeInternalTypes: true))
        {
            services.AddSingleton(validator.InterfaceType, validator.ValidatorType);
        }
    }
}
