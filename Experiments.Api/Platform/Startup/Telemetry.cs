using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Experiments.Api.Platform.Startup;

/// <summary>
/// Traces and metrics over OTLP, when OTEL_EXPORTER_OTLP_ENDPOINT says where to. The exporter reads the other OTEL_ variables itself.
/// </summary>
internal static class Telemetry
{
    public static void AddTelemetry(this WebApplicationBuilder builder)
    {
        if (!builder.Environment.IsDevelopment())
        {
            builder.Logging.ClearProviders().AddJsonConsole(options => options.UseUtcTimestamp = true);
        }

        if (string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            return;
        }

        var resource = ResourceBuilder.CreateDefault().AddService("experiments");
        var traces = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource)
            .AddSource("Microsoft.AspNetCore", "Npgsql")
            .AddOtlpExporter()
            .Build();
        var metrics = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(resource)
            .AddMeter("Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "Npgsql", "System.Runtime")
            .AddOtlpExporter()
            .Build();
        builder.Services.AddSingleton(_ => traces);
        builder.Services.AddSingleton(_ => metrics);
        builder.Services.AddHostedService(provider => new Exporting(
            provider.GetRequiredService<TracerProvider>(),
            provider.GetRequiredService<MeterProvider>()
        ));
    }

    private sealed class Exporting(TracerProvider traces, MeterProvider metrics) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken)
        {
            traces.ForceFlush(2_000);
            metrics.ForceFlush(2_000);
            return Task.CompletedTask;
        }
    }
}
