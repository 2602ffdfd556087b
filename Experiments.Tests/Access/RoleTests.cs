using System.Text.Json.Nodes;

namespace Experiments.Tests.Access;

/// <summary>What viewers, editors and admins may do, people and keys alike, on every operation that the OpenAPI document has.</summary>
public class RoleTests(TestService service) : IClassFixture<TestService>
{
    private const string Prefix = "/api/v1/environments/{environment_key}/";

    private static readonly string[] AdminsOnly = ["/admins", "/api-keys", "/identities", "/audit"];

    [Theory]
    [InlineData("viewer")]
    [InlineData("editor")]
    [InlineData("admin")]
    public async Task Each_operation_is_open_from_its_role_on(string role)
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = role, role })).Must(201);
        var scope = new Dictionary<string, string>
        {
            ["viewer"] = "read",
            ["editor"] = "write",
            ["admin"] = "admin",
        }[role];
        var key = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = role, scopes = new[] { scope } })).Must(201);
        var callers = new[] { service.AsUser(role), service.As($"Api-Key {key["key"]}"), service.As($"Bearer {key["key"]}") };
        var tried = 0;

        foreach (var (path, operations) in (await service.Admin.Get("/openapi/v1.json")).Json!["paths"]!.AsObject())
        {
            if (!path.StartsWith(Prefix, StringComparison.Ordinal))
            {
                continue;
            }

            foreach (var (method, _) in operations!.AsObject())
            {
                var needed =
                    AdminsOnly.Any(list => path.Contains(list, StringComparison.Ordinal)) ? "admin"
                    : method == "get" ? "viewer"
                    : "editor";
                var isOpen = Array.IndexOf(["viewer", "editor", "admin"], role) >= Array.IndexOf(["viewer", "editor", "admin"], needed);
                foreach (var caller in callers)
                {
                    // An id that nothing has, so that whoever is let in changes nothing.
                    var parts = path[Prefix.Length..].TrimEnd('/').Split('/').Select(part => part.StartsWith('{') ? "987654321" : part);
                    var reply = await caller.Send(
                        new HttpMethod(method.ToUpperInvariant()),
                        $"{given.Root}/{string.Join('/', parts)}/",
                        Client.Bytes("{"u8.ToArray())
                    );

                    var told = $"{method} {path} as {role}";
                    if (isOpen)
                    {
                        reply.Code.ShouldNotBe(403, told);
                    }
                    else
                    {
                        reply.MustBe(403, "access.role")["detail"].GetValue<string>().ShouldContain($"role {needed}", Case.Sensitive, told);
                    }

                    tried++;
                }
            }
        }

        tried.ShouldBeGreaterThan(150);
    }

    [Fact]
    public async Task Whoever_has_several_roles_has_the_highest()
    {
        var given = await Given.AnEnvironment(service);
        var (name, carol) = ($"carol-{given.Key}", service.AsUser($"carol-{given.Key}"));
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = name, role = "viewer" }))
            .Must(201)["role"]
            .GetValue<string>()
            .ShouldBe("viewer");
        (await carol.Get(given.Features)).Must(200);
        (await carol.Post(given.Features, new { name = "f" })).MustBe(403, "access.role");

        (await given.Admin.Post($"/api/v1/projects/{given.ProjectId}/admins/", new { subject = name, role = "editor" })).Must(201);

        (await carol.Post(given.Features, new { name = "f" })).Must(201);
        (await carol.Get($"/api/v1/projects/{given.ProjectId}/environments/")).Must(200);
        (await carol.Post($"/api/v1/projects/{given.ProjectId}/environments/", new { name = "staging" })).MustBe(403, "access.role");
        (await carol.Get($"/api/v1/projects/{given.ProjectId}/admins/")).MustBe(403, "access.role");
        (await carol.Post("/api/v1/projects/", new { name = "p", organisation = "o" })).MustBe(403, "access.denied");
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "dave", role = "owner" })).MustName("role");
    }

    [Fact]
    public async Task A_person_can_administer_the_instance()
    {
        var given = await Given.AnEnvironment(service);
        var (name, root) = ($"root-{given.Key}", service.AsUser($"root-{given.Key}"));
        (await root.Get("/api/v1/admins/")).MustBe(403, "access.denied");
        var admin = (await service.Admin.Post("/api/v1/admins/", new { subject = name })).Must(201);

        (await root.Get(given.Experiments)).Must(200);
        (await root.Get("/api/v1/projects/")).Must(200);
        (await root.Get("/api/v1/admins/")).Must(200)["results"].AsArray().ShouldContain(one => one!["id"]!.GetValue<long>() == admin.Id);
        (await given.Admin.Get($"{given.Root}/admins/")).Must(200)["results"].AsArray().ShouldBeEmpty();
        (await given.Admin.Delete($"{given.Root}/admins/{admin.Id}/")).Must(404);

        (await service.Admin.Delete($"/api/v1/admins/{admin.Id}/")).Must(204);
        (await root.Get("/api/v1/admins/")).MustBe(403, "access.denied");
    }

    [Fact]
    public async Task Keys_of_a_project_and_of_the_instance_are_listed_and_revoked()
    {
        var given = await Given.AnEnvironment(service);
        var other = await Given.AnEnvironment(service);
        var project = $"/api/v1/projects/{given.ProjectId}/api-keys/";
        var ofProject = (await service.Admin.Post(project, new { name = "project", scopes = new[] { "write" } })).Must(201);
        ofProject["scopes"].ToJsonString().ShouldBe("""["read","write"]""");
        ofProject.Headers.CacheControl!.NoStore.ShouldBeTrue();
        var caller = service.As($"Api-Key {ofProject["key"]}");
        (await caller.Get(given.Features)).Must(200);
        (await caller.Post(given.Features, new { name = "f" })).Must(201);
        (await caller.Get($"{given.Root}/api-keys/")).MustBe(403, "access.role");
        (await caller.Get(other.Features)).MustBe(403, "access.denied");
        (await caller.Get($"/api/v1/projects/{other.ProjectId}/environments/")).MustBe(403, "access.denied");
        var listed = (await service.Admin.Get(project)).Must(200)["results"].AsArray().ShouldHaveSingleItem()!;
        listed["last_used_at"]!.GetValue<DateTime>().ShouldBeGreaterThan(DateTime.UtcNow.AddMinutes(-2));
        (await given.Admin.Get($"{given.Root}/api-keys/")).Must(200)["count"].GetValue<int>().ShouldBe(0);
        (await given.Admin.Delete($"{given.Root}/api-keys/{ofProject.Id}/")).Must(404);

        (await service.Admin.Delete($"{project}{ofProject.Id}/")).Must(204);
        (await caller.Get(given.Features)).MustBe(401, "credential.invalid");

        var ofInstance = (await service.Admin.Post("/api/v1/api-keys/", new { name = "backup", scopes = new[] { "read" } })).Must(201);
        var reader = service.As($"Api-Key {ofInstance["key"]}");
        (await reader.Get(other.Features)).Must(200);
        (await reader.Post("/api/v1/projects/", new { name = "p", organisation = "o" })).MustBe(403, "access.role");
        (await service.Admin.Get("/api/v1/api-keys/"))
            .Must(200)["results"]
            .AsArray()
            .ShouldContain(key => key!["id"]!.GetValue<long>() == ofInstance.Id);
        (await service.Admin.Delete($"/api/v1/api-keys/{ofInstance.Id}/")).Must(204);
        (await reader.Get(other.Features)).MustBe(401, "credential.invalid");
        foreach (var scopes in new[] { "[]", """["root"]""", """["read", null]""" })
        {
            (await service.Admin.Post("/api/v1/api-keys/", new { name = "k", scopes = JsonNode.Parse(scopes) })).MustName("scopes");
        }
    }

    [Fact]
    public async Task What_happens_in_a_project_and_in_the_instance_is_in_their_audit()
    {
        var given = await Given.AnEnvironment(service);
        var project = $"/api/v1/projects/{given.ProjectId}/";
        var admin = (await service.Admin.Post($"{project}admins/", new { subject = "erin", role = "viewer" })).Must(201);
        var feature = await given.AFeature("green");

        var entries = (await service.Admin.Get($"{project}audit/")).Must(200)["results"].AsArray();

        entries.Select(entry => entry!["action"]!.GetValue<string>()).ShouldContain("project.created");
        entries.ShouldContain(entry =>
            entry!["object_type"]!.GetValue<string>() == "admin" && entry["object_id"]!.GetValue<long>() == admin.Id
        );
        entries.First(entry =>
            entry!["object_type"]!.GetValue<string>() == "feature" && entry["object_id"]!.GetValue<long>() == feature.Id
        )!["environment"]!
            .GetValue<string>()
            .ShouldBe(given.Key);
        (await given.Admin.Get($"{given.Root}/audit/?object_type=admin")).Must(200)["count"].GetValue<int>().ShouldBe(0);
        (await service.Admin.Get("/api/v1/audit/?object_type=project"))
            .Must(200)["results"]
            .AsArray()
            .ShouldContain(entry => entry!["object_id"]!.GetValue<long>() == given.ProjectId);
        (await service.AsUser("erin").Get($"{project}audit/")).MustBe(403, "access.role");
        (await service.AsUser("erin").Get("/api/v1/audit/")).MustBe(403, "access.denied");
    }
}
