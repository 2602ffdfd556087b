using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Json.Schema;

namespace Experiments.Tests.Support;

/// <summary>Holds every answer that the tests receive to the published document: its status, its type and its members.</summary>
internal static class PublishedContract
{
    // Any operation may be refused like this before it is found.
    private static readonly int[] Anywhere = [405, 414, 431];

    private static readonly Lazy<Document> Published = new(() => new Document(JsonNode.Parse(Repository.Read("docs/openapi.json"))!));

    public static void Check(HttpMethod method, string path, Reply reply)
    {
        if (Environment.GetEnvironmentVariable("EXPERIMENTS_ACCEPT") is not null)
        {
            // The document is being written.
            return;
        }

        var segments = path.Split('?')[0].Trim('/').Split('/');
        if (
            Published.Value.Find(method, segments) is not { } operation
            || Anywhere.Contains(reply.Code)
            || reply.Problem is "route.not_found"
            // The server itself does not take such an address.
            || (reply.Code == 400 && reply.ContentHeaders.ContentType is null)
        )
        {
            return;
        }

        var where = $"{method} {path} answered {reply.Code}";
        var documented = operation.Answer(reply.Code).ShouldNotBeNull($"{where}, which is not documented: {reply.Text}");
        if (documented.Content is not { } content)
        {
            reply.Text.ShouldBeEmpty(where);
            return;
        }

        if (method == HttpMethod.Head)
        {
            return;
        }

        var type = reply.ContentHeaders.ContentType?.MediaType.ShouldNotBeNull(where);
        var schema = content.GetValueOrDefault(type!).ShouldNotBeNull($"{where} as {type}: {reply.Text}");
        // Whoever waits gets the same answer many times, and whoever is refused, but for the trace.
        var seen =
            reply.Json is JsonObject problem && problem["trace_id"] is JsonValue trace
                ? reply.Text.Replace(trace.ToString(), new string('0', 32), StringComparison.Ordinal)
                : reply.Text;
        if ((reply.Json is not null || reply.Text == "null") && !Seen.ContainsKey((schema, seen)))
        {
            if (Errors(schema, reply.Text) is not { Count: > 0 } wrong)
            {
                Seen.TryAdd((schema, seen), true);
                return;
            }

            throw new ShouldAssertException($"{where}, which the document does not allow:\n{string.Join('\n', wrong)}\n{reply.Text}");
        }
    }

    /// <summary>What a component of the document does not allow in a value.</summary>
    public static IReadOnlyList<string> Errors(string component, JsonNode? value) =>
        Errors(new JsonObject { ["$ref"] = $"#/components/schemas/{component}" }, value);

    /// <summary>What a schema of the document does not allow in a value.</summary>
    public static IReadOnlyList<string> Errors(JsonNode schema, JsonNode? value) =>
        Errors(Published.Value.Schema(schema), value?.ToJsonString() ?? "null");

    private static IReadOnlyList<string> Errors(JsonSchema schema, string text)
    {
        using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 256 });
        return schema.Evaluate(document.RootElement, Options).IsValid
            ? []
            :
            [
                .. schema
                    .Evaluate(document.RootElement, Detailed)
                    .Details!.Where(detail => detail.Errors is { Count: > 0 })
                    .Select(detail => $"{detail.InstanceLocation}: {string.Join(", ", detail.Errors!.Select(error => error.Value))}"),
            ];
    }

    private static readonly ConcurrentDictionary<(JsonSchema, string), bool> Seen = new();

    private static readonly EvaluationOptions Options = new() { OutputFormat = OutputFormat.Flag };
    private static readonly EvaluationOptions Detailed = new() { OutputFormat = OutputFormat.List };

    /// <summary>The document, so that operations are found by method and path.</summary>
    private sealed class Document
    {
        private const string Address = "https://experiments.invalid/openapi";

        private readonly List<(string[] Path, string Method, Operation Operation)> _operations = [];
        private static readonly Lock Building = new();

        private readonly ConcurrentDictionary<string, JsonSchema> _schemas = new();

        public Document(JsonNode document)
        {
            var definitions = Strict(document["components"]!["schemas"]!.DeepClone());
            SchemaRegistry.Global.Register(
                JsonSchema.FromText(
                    new JsonObject
                    {
                        ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
                        ["$id"] = Address,
                        ["$defs"] = definitions,
                    }.ToJsonString()
                )
            );
            foreach (var (path, methods) in document["paths"]!.AsObject())
            {
                foreach (var (method, operation) in methods!.AsObject())
                {
                    _operations.Add((path.Trim('/').Split('/'), method.ToUpperInvariant(), new(this, document, operation!)));
                }
            }

            // What is written out goes before what may be anything.
            _operations.Sort((one, other) => one.Path.Count(IsParameter).CompareTo(other.Path.Count(IsParameter)));
        }

        public Operation? Find(HttpMethod method, string[] segments)
        {
            var wanted = method == HttpMethod.Head ? "GET" : method.Method;
            return _operations
                .FirstOrDefault(candidate =>
                    candidate.Method == wanted
                    && candidate.Path.Length == segments.Length
                    && candidate.Path.Zip(segments).All(pair => IsParameter(pair.First) || pair.First == pair.Second)
                )
                .Operation;
        }

        public JsonSchema Schema(JsonNode schema)
        {
            var text = Strict(schema.DeepClone()).ToJsonString();
            return _schemas.GetOrAdd(text, Built);
        }

        // The library keeps what it has built in a collection that is not for several at once.
        private static JsonSchema Built(string text)
        {
            lock (Building)
            {
                return JsonSchema.FromText(text);
            }
        }

        private static bool IsParameter(string segment) => segment.StartsWith('{');

        // An answer has no member that the document does not name.
        private static JsonNode Strict(JsonNode node)
        {
            if (node is JsonObject members)
            {
                if (members["$ref"] is JsonValue reference)
                {
                    members["$ref"] = reference
                        .GetValue<string>()
                        .Replace("#/components/schemas/", $"{Address}#/$defs/", StringComparison.Ordinal);
                }

                members.Remove("example");
                members.Remove("examples");
                if (members["properties"] is JsonObject && members["additionalProperties"] is null)
                {
                    members["additionalProperties"] = false;
                }

                foreach (var (_, value) in members.ToList())
                {
                    if (value is not null)
                    {
                        Strict(value);
                    }
                }
            }
            else if (node is JsonArray items)
            {
                foreach (var item in items.Where(item => item is not null))
                {
                    Strict(item!);
                }
            }

            return node;
        }

        /// <summary>One operation with its answers by status.</summary>
        internal sealed class Operation(Document owner, JsonNode document, JsonNode operation)
        {
            private readonly ConcurrentDictionary<int, Answer?> _answers = new();

            public Answer? Answer(int status) =>
                _answers.GetOrAdd(
                    status,
                    _ =>
                    {
                        var answer = operation["responses"]![$"{status}"];
                        if (answer?["$ref"]?.GetValue<string>() is { } shared)
                        {
                            answer = document["components"]!["responses"]![shared.Split('/')[^1]];
                        }

                        return answer is null
                            ? null
                            : new Answer(
                                answer["content"]
                                    ?.AsObject()
                                    .ToDictionary(content => content.Key, content => owner.Schema(content.Value!["schema"]!))
                            );
                    }
                );
        }
    }

    /// <summary>What may be answered: a schema for each type of content, or nothing.</summary>
    internal sealed record Answer(IReadOnlyDictionary<string, JsonSchema>? Content);
}
