using Experiments.Api.Aggregation;
using Experiments.Api.Analysis;
using Experiments.Api.ClickHouse;
using Experiments.Api.Demo;
using Experiments.Api.Evaluation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.OpenApi;
using Experiments.Api.Platform.Pages;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Experiments.Api.Warehouse;

namespace Experiments.Api;

/// <summary>Puts the service together.</summary>
internal static class Service
{
    public static WebApplication Build(string[] args)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });

        builder.AddTelemetry();
        builder.Services.AddSettings();
        builder.AddHttpRules();
        builder.AddAccess();
        builder.AddOpenApi();
        builder.Services.AddDatabase(DatabaseServer.Of(builder.Configuration));
        builder.Services.AddStartup();
        builder.Services.AddEvaluation();
        builder.Services.AddIngestion();
        builder.Services.AddAggregation();
        builder.Services.AddEventStore(builder.Configuration);
        builder.Services.AddWarehouse();
        builder.Services.AddResults();
        builder.Services.AddPages();
        builder.AddDemo();

        var app = builder.Build();
        app.UseHttpRules();
        app.MapHealth();
        app.MapMetrics();
        app.MapErrorCatalogue();
        app.MapOpenApiDocument();
        app.MapDocumentationPage();
        app.MapPages();
        app.MapApi();
        return app;
    }
}
