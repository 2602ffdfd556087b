using Npgsql;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Experiments.Api.Platform.Startup;

/// <summary>
/// Logs as JSON, and traces and metrics over OTLP when OTEL_EXPORTER_OTLP_ENDPOINT names a collector. The SDK reads the other OTEL_
/// variables itself, OTEL_SERVICE_NAME among them.
/// </summary>
internal static class Telemetry
{
    /// <summary>The name of the meter whose instruments only this service has.</summary>
    public const string Meter = "Experiments";

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

        builder
            .Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("experiments").AddEnvironmentVariableDetector())
            .WithTracing(traces => traces.AddAspNetCoreInstrumentation().AddNpgsql().AddOtlpExporter())
            .WithMetrics(metrics =>
                metrics
                    .AddAspNetCoreInstrumentation()
                    .AddRuntimeInstrumentation()
                    .AddNpgsqlInstrumentation()
                    .AddMeter(Meter)
                    .AddOtlpExporter()
            );
    }
}
