using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Platform.Http;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>The refusals of operations: one schema for all, and a component for each set of codes that a status can have.</summary>
internal static class ProblemResponses
{
    private const string Name = "Problem";

    /// <summary>The response with the problems of one status.</summary>
    public static IOpenApiResponse Of(IReadOnlyList<Problem> problems, OpenApiDocument document)
    {
        document.AddComponent<IOpenApiSchema>(Name, Schema());
        var name = NameOf(problems);
        document.AddComponent<IOpenApiResponse>(
            name,
            new OpenApiResponse
            {
                Description = string.Join(" ", problems.Select(problem => $"`{problem.Code}`: {problem.Advice}")),
                Headers = problems[0].Status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable
                    ? new Dictionary<string, IOpenApiHeader>
                    {
                        ["Retry-After"] = new OpenApiHeader
                        {
                            Description = "After how many seconds to try again.",
                            Schema = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32" },
                        },
                    }
                    : null,
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/problem+json"] = new() { Schema = new OpenApiSchemaReference(Name, document) },
                },
            }
        );
        return new OpenApiResponseReference(name, document);
    }

    // What nearly every operation can answer has a short name.
    private static string NameOf(IReadOnlyList<Problem> problems) =>
        problems switch
        {
            [var one, var other] when one == Problem.NoCredential && other == Problem.BadCredential => "Unauthorized",
            [var one, var other] when one == Problem.Forbidden && other == Problem.RoleTooLow => "Forbidden",
            [var one, var other] when one == Problem.Malformed && other == Problem.Invalid => "BadRequest",
            [var gate, var one] when gate == Problem.GateClosed => $"{Words(one.Code)}OrGated",
            _ => string.Join("Or", problems.Select(problem => Words(problem.Code))),
        };

    // "experiment.already_active" is ExperimentAlreadyActive.
    private static string Words(string code) =>
        string.Concat(code.Split('.', '_').Select(word => char.ToUpper(word[0], CultureInfo.InvariantCulture) + word[1..]));

    private static OpenApiSchema Schema() =>
        new()
        {
            Type = JsonSchemaType.Object,
            Description = "Why a request was refused (RFC 9457).",
            Examples = [JsonNode.Parse(BufferedResponse.Example(Problem.Invalid))!],
            Required = new HashSet<string> { "type", "title", "status", "detail", "code", "trace_id" },
            Properties = new Dictionary<string, IOpenApiSchema>
            {
                ["type"] = Text("The address of an explanation, on this service."),
                ["title"] = Text("The name of the status."),
                ["status"] = new OpenApiSchema
                {
                    Type = JsonSchemaType.Integer,
                    Format = "int32",
                    Description = "The HTTP status.",
                },
                ["detail"] = Text("What was wrong, and what to do."),
                ["code"] = new OpenApiSchema
                {
                    Type = JsonSchemaType.String,
                    Description = "What went wrong, for programs. It stays the same from one release to the next.",
                    Enum = [.. Problem.All.Select(problem => (JsonNode)problem.Code)],
                },
                ["trace_id"] = Text("What to look for in the log."),
                ["errors"] = new OpenApiSchema
                {
                    Type = JsonSchemaType.Object,
                    Description = "What is wrong with each field, by its path.",
                    AdditionalProperties = new OpenApiSchema { Type = JsonSchemaType.Array, Items = Text(null) },
                },
            },
        };

    private static OpenApiSchema Text(string? description) => new() { Type = JsonSchemaType.String, Description = description };
}
