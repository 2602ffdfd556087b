using Experiments.Api.Platform.Access;
using Npgsql;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Experiments.Api.Platform.Startup;

/// <summary>
/// Logs as JSON; traces, metrics and logs over OTLP when OTEL_EXPORTER_OTLP_ENDPOINT names a collector; and metrics for Prometheus under
/// /metrics when Metrics:Prometheus is true. The SDK reads the other OTEL_ variables itself, OTEL_SERVICE_NAME among them.
/// </summary>
internal static class Telemetry
{
    /// <summary>The name of the meter whose instruments only this service has.</summary>
    public const string Meter = "Experiments";

    private const string Prometheus = "Metrics:Prometheus";

    public static void AddTelemetry(this WebApplicationBuilder builder)
    {
        if (!builder.Environment.IsDevelopment())
        {
            builder
                .Logging.ClearProviders()
                .AddJsonConsole(options =>
                {
                    options.UseUtcTimestamp = true;
                    options.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";
                    // The trace, and the id of the request.
                    options.IncludeScopes = true;
                });
        }

        var sendsOtlp = !string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        var isScraped = builder.Configuration.GetValue<bool>(Prometheus);
        if (!sendsOtlp && !isScraped)
        {
            return;
        }

        var telemetry = builder
            .Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("experiments").AddEnvironmentVariableDetector())
            .WithMetrics(metrics =>
            {
                metrics.AddAspNetCoreInstrumentation().AddRuntimeInstrumentation().AddNpgsqlInstrumentation().AddMeter(Meter);
                // Each pool of connections has instruments of its own, and several services in one process see those of all. What is beyond
                // the limit, 1,000 by default, is left out without an error.
                metrics.SetMaxMetricStreams(20_000);
                if (sendsOtlp)
                {
                    metrics.AddOtlpExporter();
                }

                if (isScraped)
                {
                    metrics.AddPrometheusExporter();
                }
            });
        if (sendsOtlp)
        {
            telemetry
                .WithTracing(traces => traces.AddAspNetCoreInstrumentation().AddNpgsql().AddOtlpExporter())
                .WithLogging(logs => logs.AddOtlpExporter(), options => options.IncludeScopes = true);
        }
    }

    /// <summary>Metrics for Prometheus, which sends the key of a viewer of the instance as its bearer token.</summary>
    public static void MapMetrics(this WebApplication app)
    {
        if (app.Configuration.GetValue<bool>(Prometheus))
        {
            app.MapPrometheusScrapingEndpoint().RequireAuthorization(Policies.InstanceAdmin);
        }
    }
}
