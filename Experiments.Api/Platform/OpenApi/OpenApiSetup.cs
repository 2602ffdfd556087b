using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Wire;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>The OpenAPI document, and a page to read it and try things.</summary>
internal static class OpenApiSetup
{
    public static void AddOpenApi(this WebApplicationBuilder builder) => builder.Services.AddOpenApi("v1", options =>
    {
        options.CreateSchemaReferenceId = type => type.Type is { IsNested: true, DeclaringType: { } slice } nested ? slice.Name + nested.Name : SchemaName(type.Type);
        options.AddSchemaTransformer(new SchemaDocumentation());
        options.AddOperationTransformer(new OperationDocumentation());
        options.AddDocumentTransformer(new DocumentDocumentation());
    });

    public static void MapOpenApiDocument(this WebApplication app) => app.MapOpenApi("/openapi/{documentName}.json").RequireAuthorization(Policies.Everyone);

    public static void UseDocumentationPage(this WebApplication app) => app.UseWhen(
        context => context.Request.Path.StartsWithSegments("/docs"),
        docs => docs.UseSwaggerUI(ui =>
        {
            ui.RoutePrefix = "docs";
            ui.DocumentTitle = "Experiments";
            ui.SwaggerEndpoint("/openapi/v1.json", "Experiments v1");
        }));

    // What has no name of its own stands where it is used.
    private static string? SchemaName(Type type) => type switch
    {
        { IsGenericType: true } when type.GetGenericTypeDefinition() == typeof(Listing<>) => "ListOf" + type.GenericTypeArguments[0].Name,
        { IsGenericType: true } => null,
        _ when type.Namespace?.StartsWith(nameof(Experiments), StringComparison.Ordinal) == true => type.Name,
        _ => null,
    };
}
