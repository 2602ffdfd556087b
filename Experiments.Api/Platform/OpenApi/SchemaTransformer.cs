using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>
/// Shows <see cref="Json{T}"/> and <see cref="Optional{T}"/> as what they hold, and closes nothing but bodies to unknown members.
/// </summary>
internal sealed class SchemaTransformer : IOpenApiSchemaTransformer
{
    public async Task TransformAsync(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken cancellationToken)
    {
        var type = context.JsonTypeInfo.Type;
        var declared = Nullable.GetUnderlyingType(type) ?? type;
        if (
            declared.IsGenericType
            && (declared.GetGenericTypeDefinition() == typeof(Json<>) || declared.GetGenericTypeDefinition() == typeof(Optional<>))
        )
        {
            var held = await context.GetOrCreateSchemaAsync(declared.GenericTypeArguments[0], null, cancellationToken);
            schema.Type = held.Type;
            schema.Items = held.Items;
            schema.Properties = held.Properties;
            schema.Required = held.Required;
            schema.Format = held.Format;
            schema.Description = held.Description;
            schema.Metadata?.Remove("x-schema-id");
        }
        else if (!declared.Name.EndsWith("Body", StringComparison.Ordinal))
        {
            // Only bodies are closed; an answer may gain members.
            schema.AdditionalPropertiesAllowed = true;
        }
    }
}
