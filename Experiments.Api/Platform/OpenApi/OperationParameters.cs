using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Platform.Http;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>The parameters of operations: in the path, in the query as the rules of the slice have them, and in headers.</summary>
internal sealed class OperationParameters(BodyRules rules, OpenApiDocument document)
{
    public IEnumerable<IOpenApiParameter> Of(
        string path,
        IList<object> metadata,
        Type? slice,
        string method,
        bool isVersioned,
        bool isServed
    )
    {
        foreach (var name in path.Split('/').Where(part => part.StartsWith('{')).Select(part => part.Trim('{', '}')))
        {
            yield return InPath(name, isServed);
        }

        foreach (var query in metadata.OfType<Documentation.Parameter>())
        {
            var parameter = new OpenApiParameter
            {
                Name = query.Name,
                In = ParameterLocation.Query,
                Description = query.Description,
                Required = query.Required,
                Schema = InQuery(query, rules.OfQuery(slice, query.Name) is { } found ? found.Items ?? found : null),
            };
            parameter.Example = Example(query, parameter.Schema);
            yield return query is { Name: "page" or "page_size", Maximum: null } ? Shared(query.Name, parameter) : parameter;
        }

        if (HttpMethods.IsGet(method))
        {
            yield return InHeader("If-None-Match", "Answer 304 when the ETag is still this one.", "\"1-1\"");
        }

        if (isVersioned)
        {
            yield return InHeader("If-Match", "Act only when the ETag is still this one.", "\"1-1\"");
        }

        if (HttpMethods.IsPost(method) && !isServed)
        {
            yield return InHeader(
                "Idempotency-Key",
                "The same key and request get the first answer again for 24 hours.",
                "6f1c2f0e-1b1d-4d8e-9d53-5d1a7b9e2c11"
            );
        }
    }

    private OpenApiParameterReference InPath(string name, bool isServed)
    {
        // Applications name a flag; everybody else means the id of an API key.
        var isFlag = name == "key" && isServed;
        var (description, example) = name switch
        {
            "environment_key" => ("The key of the environment.", (JsonNode)"nYdVidOgY3xmcaFZEvZo5v"),
            "key" when isFlag => ("The name of the flag.", "button_colour"),
            "link" => ("The id of the metric in the experiment, which is not that of the metric.", 1L),
            "environment" => ("The id of the environment.", 1L),
            _ => ("The id of the object.", 1L),
        };
        return Shared(
            isFlag ? "flag_key" : name,
            new OpenApiParameter
            {
                Name = name,
                In = ParameterLocation.Path,
                Required = true,
                Description = description,
                Schema =
                    example is JsonValue value && value.TryGetValue<long>(out _)
                        ? Integer(1)
                        : new OpenApiSchema { Type = JsonSchemaType.String },
                Example = example,
            }
        );
    }

    private OpenApiParameterReference InHeader(string name, string description, string example) =>
        Shared(
            name,
            new OpenApiParameter
            {
                Name = name,
                In = ParameterLocation.Header,
                Description = description,
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                Example = example,
            }
        );

    private OpenApiParameterReference Shared(string name, OpenApiParameter parameter)
    {
        document.AddComponent<IOpenApiParameter>(name, parameter);
        return new OpenApiParameterReference(name, document);
    }

    private static OpenApiSchema InQuery(Documentation.Parameter query, Constraints? constraints)
    {
        if (query.Name is "page" or "page_size")
        {
            var number = Integer(1);
            number.Default = query.Name == "page" ? 1 : query.Default ?? Page.DefaultSize;
            number.Maximum = query.Name == "page" ? null : (query.Maximum ?? Page.MaxSize).ToString(CultureInfo.InvariantCulture);
            return number;
        }

        var schema =
            constraints?.IsId == true || (constraints is null && long.TryParse(query.Example, CultureInfo.InvariantCulture, out _))
                ? Integer(1)
            : (query.Words ?? constraints?.Words) is ["true", "false"] ? new OpenApiSchema { Type = JsonSchemaType.Boolean }
            : new OpenApiSchema
            {
                Type = JsonSchemaType.String,
                MaxLength = constraints?.MaxLength,
                Enum = (query.Words ?? constraints?.Words) is { } words ? [.. words.Select(word => (JsonNode)word)] : null,
            };
        if (query.Otherwise is { } otherwise)
        {
            schema.Default = schema.Type == JsonSchemaType.Boolean ? otherwise == "true" : otherwise;
        }

        return query.Repeatable ? new OpenApiSchema { Type = JsonSchemaType.Array, Items = schema } : schema;
    }

    private static JsonNode Example(Documentation.Parameter query, IOpenApiSchema schema)
    {
        var type = schema.Items?.Type ?? schema.Type;
        JsonNode example = type switch
        {
            JsonSchemaType.Integer => long.Parse(query.Example, CultureInfo.InvariantCulture),
            JsonSchemaType.Boolean => query.Example == "true",
            _ => query.Example,
        };
        return query.Repeatable ? new JsonArray(example) : example;
    }

    private static OpenApiSchema Integer(int minimum) =>
        new()
        {
            Type = JsonSchemaType.Integer,
            Format = "int64",
            Minimum = minimum.ToString(CultureInfo.InvariantCulture),
        };
}
