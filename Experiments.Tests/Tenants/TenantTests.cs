namespace Experiments.Tests.Tenants;

public class TenantTests(TestService service) : WholeInstanceTests(service)
{
    [Fact]
    public async Task Projects_and_environments_are_made_and_listed()
    {
        var project = (await Service.Admin.Post("/api/v1/projects/", new { name = "Shop", organisation = "Acme" })).Must(201);
        var environment = (await Service.Admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "production" })).Must(201);

        project["organisation"].GetValue<string>().ShouldBe("Acme");
        environment["key"].GetValue<string>().ShouldMatch("^[A-Za-z0-9]{22}$");
        (await Service.Admin.Get("/api/v1/projects/?page_size=1"))["results"][0]!["id"]!.GetValue<long>().ShouldBe(project.Id);
        (await Service.Admin.Get($"/api/v1/projects/{project.Id}/environments/"))["results"][0]!["key"]!
            .GetValue<string>()
            .ShouldBe(environment["key"].GetValue<string>());
        (await Service.Admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "production" })).MustBe(
            409,
            "environment.name_taken"
        );
        (await Service.Admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = " " })).MustName("name");
        (await Service.Admin.Post("/api/v1/projects/", new { name = new string('n', 256) })).MustName("name", "organisation");
    }

    [Fact]
    public async Task Only_instance_admins_make_projects_and_only_admins_of_a_project_make_environments()
    {
        var given = await Given.AnEnvironment(Service);
        var key = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci" })).Must(201)["key"].GetValue<string>();
        var alice = Service.AsUser("alice-of-the-project");
        (await given.Admin.Post($"/api/v1/projects/{given.ProjectId}/admins/", new { subject = "alice-of-the-project" })).Must(201);

        foreach (var client in new[] { Service.As($"Api-Key {key}"), alice, Service.AsUser("stranger") })
        {
            (await client.Post("/api/v1/projects/", new { name = "n", organisation = "o" })).MustBe(403, "access.denied");
        }

        (await Service.As($"Api-Key {key}").Post($"/api/v1/projects/{given.ProjectId}/environments/", new { name = "x" })).MustBe(
            403,
            "access.denied"
        );
        (await alice.Post($"/api/v1/projects/{given.ProjectId}/environments/", new { name = "x" })).Must(201);
        (await alice.Get($"{given.Experiments}")).Must(200);
        (await Service.Admin.Post("/api/v1/projects/999999/environments/", new { name = "x" })).MustBe(403, "access.denied");
        (await Service.Admin.Post("/api/v1/projects/abc/environments/", new { name = "x" })).MustBe(403, "access.denied");
    }

    [Fact]
    public async Task An_admin_is_added_listed_and_removed_and_each_step_is_felt_and_logged()
    {
        var given = await Given.AnEnvironment(Service);
        var bob = Service.AsUser("bob@example.com");
        (await bob.Get(given.Experiments)).MustBe(403, "access.denied");

        var added = (await given.Admin.Post($"{given.Root}/admins/", new { subject = " bob@example.com " })).Must(201);
        (await bob.Get(given.Experiments)).Must(200);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "bob@example.com" })).MustBe(409, "admin.already_added");
        (await bob.Get($"{given.Root}/admins/"))["results"][0]!["subject"]!.GetValue<string>().ShouldBe("bob@example.com");
        (await bob.Delete($"{(await given.Sibling()).Root}/admins/{added.Id}/")).MustBe(403, "access.denied");
        (await given.Admin.Delete($"{(await given.Sibling()).Root}/admins/{added.Id}/")).MustBe(404, "admin.not_found");
        (await given.Admin.Delete($"{given.Root}/admins/{added.Id}/")).Must(204);

        (await bob.Get(given.Experiments)).MustBe(403, "access.denied");
        (await given.Admin.Delete($"{given.Root}/admins/{added.Id}/")).MustBe(404, "admin.not_found");
        (await given.Audit("admin", added.Id)).ShouldBe(["admin.added", "admin.removed"]);
    }

    [Fact]
    public async Task A_key_shows_its_secret_once_opens_its_environment_and_is_revoked()
    {
        var given = await Given.AnEnvironment(Service);
        var created = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci" })).Must(201);
        var secret = created["key"].GetValue<string>();
        var ci = Service.As($"Api-Key {secret}");

        (await ci.Get(given.Experiments)).Must(200);
        (await ci.Get((await given.Sibling()).Experiments)).MustBe(403, "access.denied");
        var list = (await ci.Get($"{given.Root}/api-keys/")).Must(200);
        list.Text.ShouldNotContain(secret);
        list["results"][0]!["name"]!.GetValue<string>().ShouldBe("ci");
        (
            await Service.Query<long>(
                "SELECT count(*) FROM api_keys k WHERE k.id = @Id AND k::text LIKE '%' || @secret || '%'",
                new { created.Id, secret }
            )
        ).ShouldBe(0);
        (await Service.Query<long>("SELECT count(*) FROM audit_log a WHERE a::text LIKE '%' || @secret || '%'", new { secret })).ShouldBe(
            0
        );

        (await given.Admin.Delete($"{given.Root}/api-keys/{created.Id}/")).Must(204);
        (await ci.Get(given.Experiments)).MustBe(401, "credential.invalid");
        (await given.Admin.Delete($"{given.Root}/api-keys/{created.Id}/")).MustBe(404, "api_key.not_found");
        (await given.Audit("api_key", created.Id)).ShouldBe(["api_key.created", "api_key.revoked"]);
    }

    [Fact]
    public async Task A_key_revoked_elsewhere_stops_working_within_five_seconds()
    {
        var given = await Given.AnEnvironment(Service);
        var created = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci" })).Must(201);
        var ci = Service.As($"Api-Key {created["key"].GetValue<string>()}");
        (await ci.Get(given.Experiments)).Must(200);

        // As another replica would: behind the back of this one's memory.
        await Service.Execute("UPDATE api_keys SET revoked_at = now() WHERE id = @Id", new { created.Id });

        await Task.Delay(TimeSpan.FromSeconds(4));
        (await ci.Get(given.Experiments)).MustBe(401, "credential.invalid");
    }

    [Fact]
    public async Task A_key_expires_to_the_second_even_while_it_is_remembered()
    {
        var given = await Given.AnEnvironment(Service);
        (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci", expires_at = "2020-01-01T00:00:00Z" })).MustName(
            "expires_at"
        );
        (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci", expires_at = "soon" })).MustName("expires_at");
        (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci", expires_at = "2090-01-31" })).MustName("expires_at");
        (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci", expires_at = "2090-01-31T12:00:00" })).MustName("expires_at");
        (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci", expires_at = "2090-01-31T12:00:00+02:00" }))
            .Must(201)["expires_at"]
            .GetValue<string>()
            .ShouldBe("2090-01-31T10:00:00Z");
        var created = (
            await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci", expires_at = DateTimeOffset.UtcNow.AddSeconds(1.5) })
        ).Must(201);
        var ci = Service.As($"Api-Key {created["key"].GetValue<string>()}");

        (await ci.Get(given.Experiments)).Must(200);
        await Task.Delay(TimeSpan.FromSeconds(1.7));
        (await ci.Get(given.Experiments)).MustBe(401, "credential.invalid");
    }

    [Fact]
    public async Task The_audit_list_tells_the_whole_story_newest_first()
    {
        var given = await Given.AnEnvironment(Service);
        var experiment = await given.AnExperimentThatIs("completed");

        var all = (await given.Admin.Get($"{given.Root}/audit/")).Must(200);
        var one = (await given.Admin.Get($"{given.Root}/audit/?object_type=experiment&object_id={experiment.Id}")).Must(200);

        all["results"]
            .AsArray()
            .Select(entry => entry!["action"]!.GetValue<string>())
            .ShouldBe([
                "experiment.completed",
                "experiment.started",
                "feature.updated",
                "experiment.created",
                "feature.created",
                "environment.created",
            ]);
        one["count"].GetValue<int>().ShouldBe(3);
        var started = one["results"][1]!;
        started["actor"]!.GetValue<string>().ShouldStartWith("api-key:");
        started["object_type"]!.GetValue<string>().ShouldBe("experiment");
        started["object_id"]!.GetValue<long>().ShouldBe(experiment.Id);
        started["before"]!["status"]!.GetValue<string>().ShouldBe("created");
        started["after"]!["status"]!.GetValue<string>().ShouldBe("running");
        started["after"]!["started_at"]!.GetValue<string>().ShouldEndWith("Z");
        started["at"]!.GetValue<string>().ShouldEndWith("Z");
        one["results"][2]!["before"].ShouldBeNull();
        (await given.Admin.Get($"{given.Root}/audit/?object_type=teapot")).MustName("object_type");
        (await given.Admin.Get($"{given.Root}/audit/?object_id=1")).MustName("object_type");
        (await given.Admin.Get($"{given.Root}/audit/?object_type=experiment&object_id=x")).MustName("object_id");
    }

    [Fact]
    public async Task The_log_cannot_be_rewritten()
    {
        await Given.AnEnvironment(Service);

        await Should.ThrowAsync<Npgsql.PostgresException>(() => Service.Execute("UPDATE audit_log SET actor = 'nobody'"));
        await Should.ThrowAsync<Npgsql.PostgresException>(() => Service.Execute("DELETE FROM audit_log"));
    }
}
