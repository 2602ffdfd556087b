using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Experiments.Tests.Architecture;

public class OpenApiTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task The_document_is_the_committed_one()
    {
        var served = (await Document()).ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n";
        await CommittedFile.ShouldBe("docs/openapi.json", served);
    }

    [Fact]
    public async Task Whoever_asks_at_once_after_a_start_gets_the_same_document()
    {
        await using var app = await TestService.Start(service.ConnectionString);
        var client = new Client(new Uri(app.Urls.First()), null);

        var documents = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => client.Get("/openapi/v1.json"))));

        documents.Select(document => document.Must(200).Text).Distinct().ShouldHaveSingleItem();
        JsonNode.DeepEquals(documents[0].Json, await Document()).ShouldBeTrue();
        await app.StopAsync();
    }

    [Fact]
    public async Task Every_operation_is_described_with_examples_and_all_its_statuses()
    {
        var document = await Document();
        document["openapi"]!.GetValue<string>().ShouldStartWith("3.1");
        var ids = new List<string>();
        foreach (var (path, operations) in document["paths"]!.AsObject())
        {
            foreach (var (method, operation) in operations!.AsObject())
            {
                var name = $"{method} {path}";
                ids.Add(operation!["operationId"]!.GetValue<string>());
                operation["summary"]!.GetValue<string>().ShouldNotBeEmpty(name);
                operation["tags"]!.AsArray().ShouldNotBeEmpty(name);
                operation["description"]!.GetValue<string>().ShouldEndWith(".", Case.Sensitive, name);
                var opens = name is "post /v1/events" or "get /api/web_experiments" ? ",{\"EnvironmentKeyInQuery\":[]}" : "";
                var isOpen = path.StartsWith("/health/", StringComparison.Ordinal);
                operation["security"]?.ToJsonString().ShouldBe(isOpen ? "[]" : $$"""[{"EnvironmentKey":[]}{{opens}}]""", name);
                var statuses = operation["responses"]!.AsObject().Select(response => response.Key).ToList();
                statuses.ShouldContain(status => status.StartsWith('2'), name);
                (isOpen ? ["503"] : new[] { "401", "403", "503" }).ShouldBeSubsetOf(statuses, name);
                foreach (var (_, content) in operation["requestBody"]?["content"] as JsonObject ?? [])
                {
                    content!["example"].ShouldNotBeNull(name);
                }

                var parameters = (operation["parameters"] as JsonArray ?? []).Select(parameter => Resolved(document, parameter!)).ToList();
                foreach (var part in path.Split('/').Where(part => part.StartsWith('{')))
                {
                    parameters.ShouldContain(parameter => parameter["name"]!.GetValue<string>() == part.Trim('{', '}'), name);
                }
            }
        }

        ids.ShouldBeUnique();
        document["tags"]!.AsArray().ShouldAllBe(tag => tag!["description"]!.GetValue<string>().Length > 0);
    }

    [Fact]
    public async Task Every_schema_and_every_member_is_described_and_examples_are_valid()
    {
        var document = await Document();
        // As it is served, without a space too many.
        System.Text.Encoding.UTF8.GetByteCount((await service.As(null).Get("/openapi/v1.json")).Text).ShouldBeLessThan(440_000);
        foreach (var (name, schema) in document["components"]!["schemas"]!.AsObject())
        {
            schema!["description"].ShouldNotBeNull(name);
            foreach (var (member, described) in schema["properties"] as JsonObject ?? [])
            {
                described!["description"].ShouldNotBeNull($"{name}.{member}");
            }

            foreach (var example in schema["examples"] as JsonArray ?? [])
            {
                PublishedContract.Errors(name, example).ShouldBeEmpty(name);
            }
        }

        foreach (var (path, operations) in document["paths"]!.AsObject())
        {
            foreach (var (method, operation) in operations!.AsObject())
            {
                if (operation!["requestBody"]?["content"]?["application/json"] is { } body)
                {
                    PublishedContract.Errors(body["schema"]!, body["example"]).ShouldBeEmpty($"{method} {path}");
                }
            }
        }
    }

    [Fact]
    public async Task Every_example_of_a_body_is_one_that_is_taken()
    {
        var given = await Given.AnEnvironment(service);
        var document = await Document();
        foreach (
            var (path, collection) in new[]
            {
                ("features", given.Features),
                ("admins", $"{given.Root}/admins/"),
                ("api-keys", $"{given.Root}/api-keys/"),
                ("experiments", given.Experiments),
            }
        )
        {
            var body = document["paths"]![$"/api/v1/environments/{{environment_key}}/{path}"]!["post"]!["requestBody"]!["content"]![
                "application/json"
            ]!["example"]!;
            if (path == "experiments")
            {
                body["feature"] = (await given.AFeature()).Id;
            }

            (await given.Admin.PostText(collection, body.ToJsonString())).Must(201);
        }
    }

    [Fact]
    public async Task The_page_to_read_it_is_served_to_everyone_and_loads_nothing_from_elsewhere()
    {
        var page = (await service.As(null).Get("/docs/")).Must(200).Text;

        page.ShouldContain("<title>Experiments</title>");
        page.ShouldContain("openapi/v1.json");
        Regex
            .Matches(page, "(?:src|href)=\"(?<address>[^\"]+)\"")
            .Select(match => match.Groups["address"].Value)
            .ShouldAllBe(address => !address.Contains("//", StringComparison.Ordinal));
        (await service.As(null).Get("/docs/scalar.js")).Must(200);
    }

    private static JsonNode Resolved(JsonNode document, JsonNode parameter) =>
        parameter["$ref"]?.GetValue<string>().Split('/')[^1] is { } name ? document["components"]!["parameters"]![name]! : parameter;

    private async Task<JsonNode> Document() => (await service.As(null).Get("/openapi/v1.json")).Must(200).Json!;
}
