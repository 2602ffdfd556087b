using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>
/// Writes down what a route is known to do from what it is made of: its parameters, its body, and every status that it can
/// answer with, each with the codes behind it.
/// </summary>
internal sealed class OperationTransformer : IOpenApiOperationTransformer
{
    public async Task TransformAsync(
        OpenApiOperation operation,
        OpenApiOperationTransformerContext context,
        CancellationToken cancellationToken
    )
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var method = context.Description.HttpMethod ?? HttpMethods.Get;
        var problems = metadata.OfType<Documentation.Failures>().SelectMany(refusals => refusals.Problems).ToHashSet();
        var isServed = metadata.OfType<EnvironmentKeyRoute>().Any();
        problems.UnionWith(
            isServed
                ? [Problem.NoEnvironmentKey, Problem.UnknownEnvironmentKey, Problem.Failed, Problem.Unavailable]
                :
                [
                    Problem.NoCredential,
                    Problem.BadCredential,
                    Problem.Forbidden,
                    Problem.RoleTooLow,
                    Problem.TooMany,
                    Problem.Failed,
                    Problem.Unavailable,
                ]
        );
        if (metadata.OfType<FeatureGate.Required>().Any())
        {
            problems.Add(Problem.GateClosed);
        }

        operation.Parameters =
        [
            .. Parameters(context.Description.RelativePath!, metadata, method, problems.Contains(Problem.Stale), isServed),
        ];
        operation.Security = isServed
            ? [Requirement(DocumentTransformer.EnvironmentKey, context.Document!)]
            : [Requirement(DocumentTransformer.ApiKey, context.Document!), Requirement(DocumentTransformer.Bearer, context.Document!)];
        if (metadata.OfType<Documentation.Body>().LastOrDefault() is { } body)
        {
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = body.Required,
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] = new()
                    {
                        Schema = await context.GetOrCreateSchemaAsync(body.Type, null, cancellationToken),
                        Example = JsonNode.Parse(body.Example),
                    },
                },
            };
        }

        if (HttpMethods.IsPost(method) && !isServed)
        {
            problems.UnionWith([Problem.KeyReused, Problem.Malformed, Problem.TooSlow, Problem.TooLarge, Problem.WrongMediaType]);
        }

        if (!HttpMethods.IsGet(method) && !isServed)
        {
            problems.UnionWith([Problem.Invalid, Problem.Stale]);
        }

        foreach (var (status, response) in operation.Responses ?? [])
        {
            Headers(response, status, context.Description.SupportedResponseTypes.FirstOrDefault()?.Type);
            if (
                context.Description.SupportedResponseTypes.FirstOrDefault()?.Type is { } answered
                && response.Content?.TryGetValue("application/json", out var content) == true
            )
            {
                content.Example = ExampleAttribute.Of(answered);
            }
            else if (response.Content?.TryGetValue("text/csv", out var csv) == true)
            {
                csv.Example = "identifier,variant,exposed_at\r\nuser-1,green,2026-11-22T12:00:00.000Z\r\n";
            }
        }

        operation.Responses ??= [];
        if (HttpMethods.IsGet(method))
        {
            operation.Responses["304"] = new OpenApiResponse { Description = "What If-None-Match names is still current." };
        }

        foreach (var byStatus in problems.GroupBy(problem => problem.Status).OrderBy(group => group.Key))
        {
            operation.Responses[byStatus.Key.ToString(CultureInfo.InvariantCulture)] = ErrorResponse(byStatus);
        }
    }

    private static IEnumerable<IOpenApiParameter> Parameters(
        string path,
        IList<object> metadata,
        string method,
        bool versioned,
        bool isServed
    )
    {
        foreach (var name in path.Split('/').Where(part => part.StartsWith('{')).Select(part => part.Trim('{', '}')))
        {
            yield return Parameter(
                name,
                ParameterLocation.Path,
                name switch
                {
                    "environment_key" => "The key of the environment.",
                    "key" => "The name of the flag.",
                    _ => "The object's id.",
                },
                name switch
                {
                    "environment_key" => "ENVIRONMENT_KEY",
                    "key" => "button_colour",
                    _ => 1L,
                }
            );
        }

        foreach (var query in metadata.OfType<Documentation.Parameter>())
        {
            JsonNode example = long.TryParse(query.Example, CultureInfo.InvariantCulture, out var number) ? number : query.Example;
            yield return Parameter(
                query.Name,
                ParameterLocation.Query,
                query.Description,
                query.Repeatable ? new JsonArray(example) : example
            );
        }

        if (HttpMethods.IsGet(method))
        {
            yield return Parameter("If-None-Match", ParameterLocation.Header, "Answer 304 when the ETag is still this one.", "\"1-1\"");
        }

        if (versioned)
        {
            yield return Parameter("If-Match", ParameterLocation.Header, "Act only when the ETag is still this one.", "\"1-1\"");
        }

        if (HttpMethods.IsPost(method) && !isServed)
        {
            yield return Parameter(
                "Idempotency-Key",
                ParameterLocation.Header,
                "The same key and request get the first answer again for 24 hours.",
                "6f1c2f0e-1b1d-4d8e-9d53-5d1a7b9e2c11"
            );
        }
    }

    private static OpenApiParameter Parameter(string name, ParameterLocation location, string description, JsonNode example) =>
        new()
        {
            Name = name,
            In = location,
            Required = location == ParameterLocation.Path,
            Description = description,
            Schema = SchemaOf(example),
            Example = example,
        };

    private static OpenApiSchema SchemaOf(JsonNode example) =>
        example.GetValueKind() switch
        {
            JsonValueKind.Number => new() { Type = JsonSchemaType.Integer, Format = "int64" },
            JsonValueKind.Array => new() { Type = JsonSchemaType.Array, Items = SchemaOf(example[0]!) },
            _ => new() { Type = JsonSchemaType.String },
        };

    private static OpenApiSecurityRequirement Requirement(string scheme, OpenApiDocument document) =>
        new() { [new OpenApiSecuritySchemeReference(scheme, document)] = [] };

    private static void Headers(IOpenApiResponse response, string status, Type? answered)
    {
        if (response is not OpenApiResponse open)
        {
            return;
        }

        open.Description = ReasonPhrases.GetReasonPhrase(int.Parse(status, CultureInfo.InvariantCulture));
        open.Headers =
            status == "204"
                ? null
                : new Dictionary<string, IOpenApiHeader>
                {
                    ["ETag"] = new OpenApiHeader
                    {
                        Description = "The version of this representation.",
                        Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                    },
                };
        if (status == "201" && answered?.IsAssignableTo(typeof(IIdentified)) == true)
        {
            open.Headers!["Location"] = new OpenApiHeader
            {
                Description = "The address of the new object.",
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            };
        }
    }

    private static OpenApiResponse ErrorResponse(IEnumerable<Problem> problems) =>
        new()
        {
            Description = string.Join(" ", problems.Select(problem => $"`{problem.Code}`: {problem.Advice}")),
            Content = new Dictionary<string, OpenApiMediaType>
            {
                ["application/problem+json"] = new()
                {
                    Schema = new OpenApiSchema
                    {
                        Type = JsonSchemaType.Object,
                        Required = new HashSet<string> { "type", "title", "status", "detail", "code", "trace_id" },
                        Properties = new Dictionary<string, IOpenApiSchema>
                        {
                            ["type"] = new OpenApiSchema { Type = JsonSchemaType.String },
                            ["title"] = new OpenApiSchema { Type = JsonSchemaType.String },
                            ["status"] = new OpenApiSchema { Type = JsonSchemaType.Integer },
                            ["detail"] = new OpenApiSchema { Type = JsonSchemaType.String },
                            ["code"] = new OpenApiSchema
                            {
                                Type = JsonSchemaType.String,
                                Enum = [.. problems.Select(problem => (JsonNode)problem.Code)],
                            },
                            ["trace_id"] = new OpenApiSchema { Type = JsonSchemaType.String },
                            ["errors"] = new OpenApiSchema { Type = JsonSchemaType.Object, Description = "Messages by field." },
                        },
                    },
                    Examples = problems.ToDictionary(
                        problem => problem.Code,
                        problem => (IOpenApiExample)new OpenApiExample { Value = JsonNode.Parse(BufferedResponse.Example(problem)) }
                    ),
                },
            },
        };
}
