using System.Globalization;
using System.Text;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Scalar.AspNetCore;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>The OpenAPI document, and a page to read it and try things.</summary>
internal static class OpenApiSetup
{
    public static void AddOpenApi(this WebApplicationBuilder builder)
    {
        builder.Services.AddOpenApi("v1");
        builder
            .Services.AddOptions<OpenApiOptions>("v1")
            .Configure<IServiceProvider>(
                (options, services) =>
                {
                    options.AddOperationTransformer(new OperationTransformer(new Lazy<Contract>(() => new Contract(services))));
                    options.AddDocumentTransformer(new DocumentTransformer());
                }
            );
    }

    // Put together once, since it is the same for everyone, and large.
    public static void MapOpenApiDocument(this WebApplication app)
    {
        var (building, document) = (new Lock(), (Task<BufferedResponse>?)null);
        app.MapGet("/openapi/v1.json", Document)
            .RequireAuthorization(Policies.Everyone)
            // The first who asks may have to wait for it, and is not cut off.
            .WithMetadata(new TimeLimit(null))
            .ExcludeFromDescription();

        // By one at a time: two that began at once would mix up their schemas.
        Task<BufferedResponse> Document()
        {
            lock (building)
            {
                return document is { IsFaulted: false } built ? built : document = Build(app.Services);
            }
        }
    }

    private static async Task<BufferedResponse> Build(IServiceProvider services)
    {
        await using var scope = services.CreateAsyncScope();
        var document = await scope
            .ServiceProvider.GetRequiredKeyedService<IOpenApiDocumentProvider>("v1")
            .GetOpenApiDocumentAsync(CancellationToken.None);
        var text = new StringWriter(CultureInfo.InvariantCulture);
        document.SerializeAsV31(new OpenApiJsonWriter(text, new OpenApiJsonWriterSettings { Terse = true }));
        return BufferedResponse.OfBytes(StatusCodes.Status200OK, Encoding.UTF8.GetBytes(text.ToString()));
    }

    public static void MapDocumentationPage(this WebApplication app) =>
        app.MapScalarApiReference(
                "/docs",
                page =>
                {
                    page.WithTitle("Experiments");
                    page.WithOpenApiRoutePattern("/openapi/v1.json");
                    // Nothing is loaded from elsewhere, and nothing is sent there.
                    page.DisableDefaultFonts();
                    page.DisableTelemetry();
                    page.DisableAgent();
                    page.ShowDeveloperTools = DeveloperToolsVisibility.Never;
                }
            )
            .AsPage()
            .RequireAuthorization(Policies.Everyone);
}
