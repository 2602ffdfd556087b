namespace Experiments.Api.Platform.OpenApi;

/// <summary>The OpenAPI document, and a page to read it and try things.</summary>
internal static class OpenApiSetup
{
    public const string DocumentPath = "/openapi/v1.json";

    public static void AddOpenApi(this WebApplicationBuilder builder) => builder.Services.AddOpenApi("v1", options =>
    {
    });

    public static void MapApiDocumentation(this WebApplication app)
    {
        app.MapOpenApi("/openapi/{documentName}.json").AllowAnonymous();
    }
}
