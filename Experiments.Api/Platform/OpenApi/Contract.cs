using Experiments.Api.Platform.Http;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>What the document is derived from: the types of the routes, the rules of their slices, and the comments on both.</summary>
internal sealed class Contract
{
    public Contract(IServiceProvider services)
    {
        Rules = new(services);
        Schemas = new(Rules, Comments);
        foreach (
            var body in services
                .GetRequiredService<EndpointDataSource>()
                .Endpoints.SelectMany(endpoint => endpoint.Metadata.GetOrderedMetadata<Documentation.Body>())
        )
        {
            Schemas.AddWritten(body.Type);
        }
    }

    public DocComments Comments { get; } = new();

    public BodyRules Rules { get; }

    public SchemaBuilder Schemas { get; }
}
