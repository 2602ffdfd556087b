using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Architecture;

/// <summary>
/// The contract that clients were built on, as a document of its own. A break of it is a new baseline and an entry in the changelog with
/// its mark, or none.
/// </summary>
public class ContractBaselineTests
{
    private const string Baseline = "docs/openapi.baseline.json";

    [Fact]
    public void Nothing_that_clients_of_the_baseline_rely_on_is_gone() =>
        ContractBreaks
            .Between(Read(Baseline), Read("docs/openapi.json"))
            .ShouldBeEmpty($"Keep it, or replace {Baseline} and name the break in CHANGELOG.md with the new mark.");

    [Fact]
    public void The_changelog_names_the_baseline()
    {
        var mark = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(Repository.Root, Baseline))))[..12];

        Repository.Read("CHANGELOG.md").ShouldContain($"(contract {mark})", Case.Sensitive, $"{Baseline} has another mark now.");
    }

    public static TheoryData<string, string, string> Breaks =>
        new()
        {
            { "/paths/~1projects", "", "GET /projects is gone" },
            { "/paths/~1projects/get/operationId", "\"other\"", "GET /projects has another operationId" },
            { "/paths/~1projects/get/parameters", "[]", "GET /projects no longer takes query q" },
            { "/paths/~1projects/get/parameters/0/schema/maxLength", "5", "GET /projects query q has another maxLength" },
            { "/paths/~1projects/post/requestBody", "", "POST /projects no longer takes a body" },
            { "/components/schemas/Body/required", """["name", "kind"]""", "POST /projects body.kind is required" },
            { "/components/schemas/Body/properties/kind/enum", """["a"]""", "POST /projects body.kind takes fewer words" },
            { "/components/schemas/Body/properties/kind", "", "POST /projects body.kind is gone" },
            { "/components/schemas/View/properties/id/type", """["integer", "null"]""", "GET /projects 200.results[].id has another type" },
            { "/components/schemas/View/properties/id", "", "GET /projects 200.results[].id is gone" },
            { "/components/schemas/View/required", "[]", "GET /projects 200.results[].id may be missing" },
            {
                "/components/schemas/View/properties/part/oneOf/1/$ref",
                "\"#/components/schemas/Body\"",
                "GET /projects 200.results[].part.x is gone"
            },
            { "/components/schemas/Unused", "", "the schema Unused is gone" },
        };

    [Theory]
    [MemberData(nameof(Breaks))]
    public void Each_kind_of_break_is_found(string place, string becomes, string expected)
    {
        var now = JsonNode.Parse(Small)!;
        var steps = place.Split('/')[1..].Select(step => step.Replace("~1", "/", StringComparison.Ordinal)).ToArray();
        var parent = steps[..^1].Aggregate(now, (node, step) => int.TryParse(step, out var index) ? node![index]! : node![step]!);
        if (becomes.Length == 0)
        {
            parent.AsObject().Remove(steps[^1]);
        }
        else
        {
            parent[steps[^1]] = JsonNode.Parse(becomes);
        }

        ContractBreaks.Between(JsonNode.Parse(Small)!, now).ShouldContain(expected);
        ContractBreaks.Between(JsonNode.Parse(Small)!, JsonNode.Parse(Small)!).ShouldBeEmpty();
    }

    [Fact]
    public void More_breaks_nobody()
    {
        var now = JsonNode.Parse(Small)!;
        now["paths"]!["/more"] = new JsonObject();
        now["components"]!["schemas"]!["View"]!["properties"]!["more"] = new JsonObject { ["type"] = "string" };
        now["components"]!["schemas"]!["Body"]!["properties"]!["more"] = new JsonObject { ["type"] = "string" };
        now["components"]!["schemas"]!["Body"]!["properties"]!["kind"]!["enum"]!.AsArray().Add("c");

        ContractBreaks.Between(JsonNode.Parse(Small)!, now).ShouldBeEmpty();
    }

    private const string Small = """
        {"paths": {"/projects": {
            "get": {"operationId": "list", "parameters": [{"name": "q", "in": "query", "schema": {"type": "string", "maxLength": 10}}],
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "object", "required": ["results"],
                    "properties": {"results": {"type": "array", "items": {"$ref": "#/components/schemas/View"}}}}}}}}},
            "post": {"operationId": "create", "responses": {}, "requestBody": {"required": true, "content": {"application/json":
                {"schema": {"$ref": "#/components/schemas/Body"}}}}}}},
         "components": {"schemas": {
            "Body": {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {"name": {"type": "string"},
                "kind": {"type": "string", "enum": ["a", "b"]}}},
            "View": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"},
                "part": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Part"}]}}},
            "Part": {"type": "object", "properties": {"x": {"type": "string"}}},
            "Unused": {"type": "object"}}}}
        """;

    private static JsonNode Read(string path) => JsonNode.Parse(Repository.Read(path))!;
}
