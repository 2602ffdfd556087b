using System.Text;

namespace Experiments.Tests.Access;

/// <summary>Every operation of the OpenAPI document for management, with every kind of caller that it is not for.</summary>
public class WrongCallerTests(TestService service) : IClassFixture<TestService>
{
    private const string Unsigned = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.";

    // They are for whoever has a credential, and show or compute what that caller may see.
    private static readonly string[] ForAnyone =
    [
        "getMe",
        "listProjects",
        "compareArms",
        "planSampleSize",
        "adjustPValues",
        "flagsmithGetMe",
        "flagsmithListOrganisations",
        "flagsmithListProjects",
        // What they need to know is missing.
        "flagsmithListEnvironments",
        "flagsmithListFeatures",
        "getEnvironmentDocument",
    ];

    [Fact]
    public async Task Nobody_gets_past_the_credential_whatever_the_body_and_nothing_is_written()
    {
        var (given, foreign) = (await Given.AnEnvironment(service), await Given.AnEnvironment(service));
        var revoked = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "revoked" })).Must(201);
        (await given.Admin.Delete($"{given.Root}/api-keys/{revoked.Id}/")).Must(204);
        var other = (await foreign.Admin.Post($"{foreign.Root}/api-keys/", new { name = "other" })).Must(201)["key"];
        var unknown = new[]
        {
            service.As(null),
            service.As(null).With("X-Environment-Key", given.Key),
            service.As("Api-Key exp_of_nobody"),
            service.As($"Api-Key {revoked["key"]}"),
            service.As($"Api-Key {given.Key}"),
            service.As("Basic YTpi"),
            service.As(Unsigned),
            service.As($"Bearer {TestService.Token("alice", audience: "another")}"),
            service.As($"Bearer {TestService.Token("alice", issuer: "https://another.example")}"),
            service.As($"Bearer {TestService.Token("alice", lifetime: TimeSpan.FromMinutes(-5))}"),
        };
        var strangers = new[]
        {
            service.AsUser("stranger"),
            service.As($"Api-Key {other}"),
            service.As($"Api-Key {other}").With("X-Environment-Key", given.Key),
        };
        var before = await Written();
        var tried = 0;

        await foreach (var (method, path, id, example) in Operations(given))
        {
            foreach (var body in new[] { example, "{\"broken\":" })
            {
                foreach (var caller in unknown)
                {
                    (await Send(caller, method, path, body)).Code.ShouldBe(401, $"{method} {path}");
                }

                foreach (var caller in strangers.Where(_ => !ForAnyone.Contains(id)))
                {
                    (await Send(caller, method, path, body)).Code.ShouldBe(403, $"{method} {path}");
                }
            }

            tried++;
        }

        tried.ShouldBeGreaterThan(75);
        (await Written()).ShouldBe(before);
    }

    private async IAsyncEnumerable<(string Method, string Path, string Id, string? Example)> Operations(Given given)
    {
        foreach (var (path, operations) in (await service.Admin.Get("/openapi/v1.json")).Json!["paths"]!.AsObject())
        {
            foreach (var (method, operation) in operations!.AsObject())
            {
                // Those that the public key of an environment opens.
                if (
                    !(path.StartsWith("/api/v1/", StringComparison.Ordinal) || path.StartsWith("/flagsmith/", StringComparison.Ordinal))
                    || Is(path, "flags", "identities", "web-experiments", "traits", "analytics", "bulk-identities")
                )
                {
                    continue;
                }

                var filled = string.Join(
                    '/',
                    path.Split('/')
                        .Select(part =>
                            part == "{environment_key}" ? given.Key
                            : part == "{id}" && path.Contains("/api/v1/projects/", StringComparison.Ordinal) ? $"{given.ProjectId}"
                            : part.StartsWith('{') ? "1"
                            : part
                        )
                );
                var example = operation!["requestBody"]?["content"]?["application/json"]?["example"]?.ToJsonString();
                yield return (method.ToUpperInvariant(), filled, operation["operationId"]!.GetValue<string>(), example);
            }
        }
    }

    private static bool Is(string path, params string[] lists) =>
        lists.Any(list => path.StartsWith($"/api/v1/{list}", StringComparison.Ordinal));

    private static Task<Reply> Send(Client caller, string method, string path, string? body) =>
        caller.Send(
            new HttpMethod(method),
            path,
            body is null || method is "GET" or "DELETE" ? null : Client.Bytes(Encoding.UTF8.GetBytes(body))
        );

    private Task<string> Written() =>
        service.Query<string>(
            """
            SELECT concat_ws(' ', (SELECT count(*) FROM audit_log), (SELECT count(*) FROM idempotency_keys),
                (SELECT count(*) FROM experiments), (SELECT count(*) FROM features), (SELECT count(*) FROM api_keys),
                (SELECT count(*) FROM admins), (SELECT count(*) FROM projects), (SELECT count(*) FROM environments))
            """
        );
}
