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
    public const string EnvironmentKeyInQuery = "EnvironmentKeyInQuery";

    private static readonly (string Name, string Description)[] Tags =
    [
        ("Me", "Who is calling."),
        ("Health", "Whether the service runs and can serve."),
        ("Projects", "Projects and their environments."),
        ("Admins", "Who may do what, in an environment, a project or the instance."),
        ("API keys", "Keys for scripts and services."),
        ("Audit", "Who changed what, and when."),
        ("Experiments", "Experiments, from the draft to the verdict."),
        ("Features", "Multivariate feature flags."),
        ("Metrics", "What experiments are measured by."),
        ("Holdouts", "Identities that are kept out of experiments."),
        ("Cohorts", "The identities that were shown an experiment."),
        ("Identities", "Everything that is stored of one identity."),
        ("Events", "Exposures and other events."),
        ("Analysis", "The statistics, for data of your own."),
        ("Flags (Flagsmith SDKs)", "Flags for applications, as Flagsmith's SDKs ask for them."),
        ("Flags (OpenFeature)", "Flags for applications, as OpenFeature's providers ask for them (OFREP)."),
        ("PostHog SDKs", "Flags, exposures and events, as PostHog's SDKs ask for them and send them."),
        ("GrowthBook SDKs", "Flags, as GrowthBook's SDKs ask for them."),
        ("Web experiments", "What experiments change on the pages of a site."),
        ("Warehouses", "Databases that experiments can be counted from."),
        ("Flagsmith", "The same as Flagsmith's own front end asks for it."),
    ];

    public Task TransformAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Experiments",
            Version = Startup.Build.Version,
            Description =
                "Experiments on multivariate feature flags. Every refusal is a problem (RFC 9457) with a stable `code`; a trailing "
                + "slash is optional everywhere.",
            Contact = new OpenApiContact { Name = "Experiments" },
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
            [EnvironmentKeyInQuery] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.ApiKey,
                In = ParameterLocation.Query,
                Name = EnvironmentKeyRoute.Query,
                Description =
                    "The public key of an environment, for beacons of browsers, which cannot set a header. The body may then be sent as "
                    + "`text/plain`, or as a form with the JSON in its field `data`, neither of which needs a preflight.",
            },
            [Bearer] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                BearerFormat = "JWT",
            },
        };
        document.Security = [Requirement(ApiKey, document), Requirement(Bearer, document)];
        document.Tags = Tags.Select(tag => new OpenApiTag { Name = tag.Name, Description = tag.Description }).ToHashSet();
        return Task.CompletedTask;
    }

    /// <summary>What opens a route.</summary>
    public static OpenApiSecurityRequirement Requirement(string scheme, OpenApiDocument document) =>
        new() { [new OpenApiSecuritySchemeReference(scheme, document)] = [] };
}
