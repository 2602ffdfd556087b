namespace Experiments.Tests.Access;

/// <summary>Everyone with a credential may know who they are, and sees the projects and environments that they have a role in.</summary>
public class MeTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_person_is_told_its_roles_and_sees_what_they_open_and_nothing_else()
    {
        var (mine, theirs) = (await Given.AnEnvironment(service), await Given.AnEnvironment(service));
        var (there, sibling) = (await Given.AnEnvironment(service), await mine.Sibling());
        var hidden = await there.Sibling();
        var subject = $"eve-{Guid.NewGuid():N}";
        (await service.Admin.Post($"/api/v1/projects/{mine.ProjectId}/admins/", new { subject, role = "editor" })).Must(201);
        (await service.Admin.Post($"{there.Root}/admins/", new { subject, role = "viewer" })).Must(201);
        var eve = service.AsUser(subject);

        var me = (await eve.Get("/api/v1/me/")).Must(200);

        me["name"].GetValue<string>().ShouldBe(subject);
        me["kind"].GetValue<string>().ShouldBe("person");
        me.Json!["instance_role"].ShouldBeNull();
        me["projects"].AsArray().Select(one => $"{one!["id"]} {one["role"]}").ShouldBe([$"{mine.ProjectId} editor"]);
        me["environments"]
            .AsArray()
            .Select(one => $"{one!["key"]} {one["project"]} {one["role"]}")
            .ShouldBe([$"{there.Key} {there.ProjectId} viewer"]);
        (await Ids(eve, "/api/v1/projects/")).ShouldBe([there.ProjectId, mine.ProjectId]);
        (await Keys(eve, mine)).ShouldBe([sibling.Key, mine.Key]);
        (await Keys(eve, there)).ShouldBe([there.Key]);
        (await eve.Get($"/api/v1/projects/{there.ProjectId}/")).Must(200)["name"].GetValue<string>().ShouldBe(there.Project);
        foreach (var project in new[] { theirs.ProjectId, 987_654_321 })
        {
            (await eve.Get($"/api/v1/projects/{project}/")).MustBe(403, "access.denied");
            (await eve.Get($"/api/v1/projects/{project}/environments/")).MustBe(403, "access.denied");
        }

        (await eve.Get($"/api/v1/projects/{there.ProjectId}/environments/{await Id(there)}/"))
            .Must(200)["key"]
            .GetValue<string>()
            .ShouldBe(there.Key);
        (await eve.Get($"/api/v1/projects/{there.ProjectId}/environments/{await Id(hidden)}/")).MustBe(403, "access.denied");
        (await eve.Get($"/api/v1/projects/{mine.ProjectId}/environments/{await Id(there)}/")).MustBe(403, "access.denied");
        (await service.As(null).Get("/api/v1/me/")).MustBe(401, "credential.missing");
    }

    [Fact]
    public async Task A_key_is_told_what_it_opens()
    {
        var given = await Given.AnEnvironment(service);
        var ofEnvironment = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "k", scopes = new[] { "read" } })).Must(201);
        var ofProject = (await given.Admin.Post($"/api/v1/projects/{given.ProjectId}/api-keys/", new { name = "k" })).Must(201);

        var first = (await service.As($"Api-Key {ofEnvironment["key"]}").Get("/api/v1/me/")).Must(200);
        var second = (await service.As($"Api-Key {ofProject["key"]}").Get("/api/v1/me/")).Must(200);
        var instance = (await service.Admin.Get("/api/v1/me/")).Must(200);

        first["kind"].GetValue<string>().ShouldBe("api_key");
        first["name"].GetValue<string>().ShouldBe($"api-key:{ofEnvironment.Id}");
        first["environments"][0]!["role"]!.GetValue<string>().ShouldBe("viewer");
        first["projects"].AsArray().ShouldBeEmpty();
        second["projects"][0]!["id"]!.GetValue<long>().ShouldBe(given.ProjectId);
        second["projects"][0]!["role"]!.GetValue<string>().ShouldBe("admin");
        instance["instance_role"].GetValue<string>().ShouldBe("admin");
    }

    [Fact]
    public async Task A_project_is_renamed_by_its_admins_and_that_is_in_its_log()
    {
        var given = await Given.AnEnvironment(service);
        var project = $"/api/v1/projects/{given.ProjectId}/";
        (await service.Admin.Post($"{project}admins/", new { subject = "ed", role = "editor" })).Must(201);

        (await service.AsUser("ed").Patch(project, new { name = "mine" })).MustBe(403, "access.role");
        (await service.Admin.Patch(project, new { name = "" })).MustName("name");
        (await service.Admin.Patch(project, new { nme = "x" })).MustName("nme");
        var renamed = (await service.Admin.Patch(project, new { name = " Shop " })).Must(200);
        (await service.Admin.Patch(project, new { name = "Shop" })).Must(200);

        renamed["name"].GetValue<string>().ShouldBe("Shop");
        (await service.Admin.Get(project)).Must(200)["name"].GetValue<string>().ShouldBe("Shop");
        (await service.Admin.Get($"{project}audit/?object_type=project"))["results"]
            .AsArray()
            .Count(entry => entry!["action"]!.GetValue<string>() == "project.updated")
            .ShouldBe(1);
    }

    private static async Task<long[]> Ids(Client caller, string list) =>
        [.. (await caller.Get(list)).Must(200)["results"].AsArray().Select(one => one!["id"]!.GetValue<long>())];

    private static async Task<string[]> Keys(Client caller, Given given) =>
        [
            .. (await caller.Get($"/api/v1/projects/{given.ProjectId}/environments/"))
                .Must(200)["results"]
                .AsArray()
                .Select(one => one!["key"]!.GetValue<string>()),
        ];

    private Task<long> Id(Given given) => service.Query<long>("SELECT id FROM environments WHERE key = @Key", new { given.Key });
}
