using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>
/// Writes down what a route is known to do from what it is made of: its parameters, its body, and every status that it can answer with.
/// </summary>
internal sealed class OperationTransformer(Lazy<Contract> contract) : IOpenApiOperationTransformer
{
    public Task TransformAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        var (schemas, document) = (contract.Value.Schemas, context.Document!);
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var method = context.Description.HttpMethod ?? HttpMethods.Get;
        var slice = metadata.OfType<Documentation.SliceOf>().LastOrDefault()?.Type;
        var served = metadata.OfType<EnvironmentKeyRoute>().FirstOrDefault();
        var isServed = served is not null;
        var isOpen = !isServed && metadata.OfType<IAuthorizeData>().Any(needed => needed.Policy == Policies.Everyone);
        var problems = ProblemsOf(metadata, method, isServed, isOpen);

        operation.Description =
            slice is null || !slice.Name.StartsWith(Capital(operation.OperationId!), StringComparison.Ordinal)
                ? $"{operation.Summary}."
                : contract.Value.Comments.Of(slice) ?? $"{operation.Summary}.";
        operation.Parameters =
        [
            .. new OperationParameters(contract.Value.Rules, document).Of(
                context.Description.RelativePath!,
                metadata,
                slice,
                method,
                isVersioned: metadata.OfType<Documentation.Failures>().Any(refusals => refusals.Problems.Contains(Problem.Stale)),
                isServed
            ),
        ];
        // All others need what the document says of the service as a whole.
        operation.Security =
            served is not null ? [.. SchemesOf(served.Source).Select(scheme => DocumentTransformer.Requirement(scheme, document))]
            : isOpen ? []
            : null;
        if (metadata.OfType<Documentation.Body>().LastOrDefault() is { } body)
        {
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = body.Required,
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] = new() { Schema = schemas.Of(body.Type, document), Example = JsonNode.Parse(body.Example) },
                },
            };
        }

        operation.Responses = [];
        foreach (var answer in metadata.OfType<Documentation.Answer>())
        {
            operation.Responses[Text(answer.Status)] = Response(answer, schemas, document);
        }

        if (HttpMethods.IsGet(method))
        {
            document.AddComponent<IOpenApiResponse>(
                "NotModified",
                new OpenApiResponse { Description = "What If-None-Match names is still current." }
            );
            operation.Responses["304"] = new OpenApiResponseReference("NotModified", document);
        }

        foreach (var byStatus in problems.GroupBy(problem => problem.Status).OrderBy(group => group.Key))
        {
            operation.Responses.TryAdd(Text(byStatus.Key), ProblemResponses.Of([.. byStatus], document));
        }

        return Task.CompletedTask;
    }

    private static string[] SchemesOf(KeySource source) =>
        source == KeySource.Query
            ? [DocumentTransformer.EnvironmentKey, DocumentTransformer.EnvironmentKeyInQuery]
            : [DocumentTransformer.EnvironmentKey];

    private static List<Problem> ProblemsOf(IList<object> metadata, string method, bool isServed, bool isOpen)
    {
        var problems = metadata.OfType<Documentation.Failures>().SelectMany(refusals => refusals.Problems).ToHashSet();
        problems.UnionWith(
            isOpen ? [Problem.WrongMethod, Problem.Failed, Problem.Unavailable]
            : isServed ? [Problem.NoEnvironmentKey, Problem.UnknownEnvironmentKey, Problem.Failed, Problem.Unavailable]
            :
            [
                Problem.Invalid,
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

        if (HttpMethods.IsPost(method) && !isServed)
        {
            problems.UnionWith([Problem.KeyReused, Problem.Malformed, Problem.TooSlow, Problem.TooLarge, Problem.WrongMediaType]);
        }

        if (!HttpMethods.IsGet(method) && !isServed)
        {
            problems.UnionWith([Problem.Malformed, Problem.Stale]);
        }

        // As the list of all has them, so that equal sets have equal names.
        return [.. Problem.All.Where(problems.Contains)];
    }

    private static OpenApiResponse Response(Documentation.Answer answer, SchemaBuilder schemas, OpenApiDocument document)
    {
        var response = new OpenApiResponse { Description = ReasonPhrases.GetReasonPhrase(answer.Status) };
        if (answer.Type is null && answer.ContentType is null)
        {
            return response;
        }

        response.Content = new Dictionary<string, OpenApiMediaType>
        {
            [answer.ContentType ?? "application/json"] = answer.Type is { } type
                ? new() { Schema = schemas.Of(type, document) }
                : new()
                {
                    Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                    Example = answer.Example,
                },
        };
        if (answer.Status >= 300)
        {
            return response;
        }

        response.Headers = new Dictionary<string, IOpenApiHeader>
        {
            ["ETag"] = Header("ETag", "The version of this representation.", document),
        };
        if (answer.Status == StatusCodes.Status201Created && answer.Type?.IsAssignableTo(typeof(IIdentified)) == true)
        {
            response.Headers["Location"] = Header("Location", "The address of the new object.", document);
        }

        return response;
    }

    private static OpenApiHeaderReference Header(string name, string description, OpenApiDocument document)
    {
        document.AddComponent<IOpenApiHeader>(
            name,
            new OpenApiHeader
            {
                Description = description,
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            }
        );
        return new OpenApiHeaderReference(name, document);
    }

    private static string Text(int status) => status.ToString(CultureInfo.InvariantCulture);

    private static string Capital(string text) => char.ToUpper(text[0], CultureInfo.InvariantCulture) + text[1..];
}
