using Experiments.Api.Platform.Access;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>What the document says of the service as a whole.</summary>
internal sealed class DocumentTransformer : IOpenApiDocumentTransformer
{
    public const string ApiKey = "ApiKey";
    public const string Bearer = "Bearer";
    public const string EnvironmentKey = "EnvironmentKey";

    public Task TransformAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Experiments",
            Version = Startup.Build.Version,
            Description =
                "Experiments on multivariate feature flags. Every refusal is a problem (RFC 9457) with a stable `code`; a trailing "
                + "slash is optional everywhere.",
            License = new OpenApiLicense { Name = "MIT", Identifier = "MIT" },
        };
        // The address is the one that the document was read from.
        document.Servers = [new OpenApiServer { Url = "/" }];
        document.Components ??= new OpenApiComponents();
        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            [ApiKey] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.ApiKey,
                In = ParameterLocation.Header,
                Name = "Authorization",
                Description = "`Api-Key <secret>`, with the words as they stand here.",
            },
            [EnvironmentKey] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.ApiKey,
                In = ParameterLocation.Header,
                Name = EnvironmentKeyRoute.Header,
                Description = "The public key of an environment. OFREP also takes it as `X-API-Key` or `Authorization: Bearer`.",
            },
            [Bearer] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                BearerFormat = "JWT",
            },
        };
        return Task.CompletedTask;
    }
}
