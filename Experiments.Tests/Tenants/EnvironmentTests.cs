namespace Experiments.Tests.Tenants;

/// <summary>Environments are renamed, given another key and deleted; projects are deleted with theirs.</summary>
public class EnvironmentTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task An_environment_is_renamed_unless_another_has_the_name()
    {
        var (given, path, id) = await AnEnvironment();
        (await service.Admin.Post($"{Project(given)}environments/", new { name = "staging" })).Must(201);

        (await service.Admin.Patch(path, new { name = "staging" })).MustBe(409, "environment.name_taken");
        (await service.Admin.Patch(path, new { name = " " })).MustName("name");
        var renamed = (await service.Admin.Patch(path, new { name = "live" })).Must(200);

        (renamed.Id, renamed["name"].GetValue<string>(), renamed["key"].GetValue<string>()).ShouldBe((id, "live", given.Key));
        (await service.Admin.Get($"{given.Root}/audit/?object_type=environment")).Must(200)["results"][0]!["action"]!
            .GetValue<string>()
            .ShouldBe("environment.updated");
        (await service.Admin.Patch($"{Project(given)}environments/987654321/", new { name = "x" })).MustBe(404, "environment.not_found");
        var other = await Given.AnEnvironment(service);
        (await service.Admin.Patch($"{Project(other)}environments/{id}/", new { name = "x" })).MustBe(404, "environment.not_found");
    }

    [Fact]
    public async Task A_rotated_key_is_accepted_beside_the_new_one_until_its_time_is_over()
    {
        var (given, path, id) = await AnEnvironment();
        await given.Enable(await given.AFeature("green"));
        var rotated = (await service.Admin.Post($"{path}rotate-key/", new { grace_hours = 1 })).Must(200);
        var key = rotated["key"].GetValue<string>();
        key.ShouldNotBe(given.Key);
        rotated["former_key_until"].GetValue<DateTime>().ShouldBe(DateTime.UtcNow.AddHours(1), TimeSpan.FromMinutes(1));

        foreach (var accepted in new[] { key, given.Key })
        {
            (await service.As(null).With("X-Environment-Key", accepted).Get("/api/v1/flags/")).Must(200).Json!.AsArray().Count.ShouldBe(1);
            (await service.Admin.Get($"/api/v1/environments/{accepted}/features/")).Must(200)["count"].GetValue<int>().ShouldBe(1);
        }

        (await service.Admin.Post($"{path}rotate-key/")).MustBe(409, "environment.key_just_rotated");
        // Its time is over, and every replica hears of it.
        await service.Execute("UPDATE environments SET former_key_until = now() - interval '1 second' WHERE id = @id", new { id });
        await Given.Eventually(async () => (await given.Sdk.Get("/api/v1/flags/")).Code == 403);
        await Given.Eventually(async () => (await service.Admin.Get(given.Features)).Code == 403);
        (await service.As(null).With("X-Environment-Key", key).Get("/api/v1/flags/")).Must(200);

        (await service.Admin.Post($"{path}rotate-key/", new { grace_hours = 0 })).Must(200);
        await Given.Eventually(async () => (await service.As(null).With("X-Environment-Key", key).Get("/api/v1/flags/")).Code == 403);
        foreach (var hours in new object[] { -1, 2161, "1" })
        {
            (await service.Admin.Post($"{path}rotate-key/", new { grace_hours = hours })).MustName("grace_hours");
        }

        (
            await service.Query<string>("SELECT string_agg(after::text, ' ') FROM audit_log WHERE action = 'environment.key_rotated'")
        ).ShouldNotContain(key);
    }

    [Fact]
    public async Task An_environment_is_deleted_unless_an_experiment_is_running()
    {
        var (given, path, id) = await AnEnvironment();
        var experiment = await given.Start(await given.AnExperiment());
        (await service.Admin.Delete(path)).MustBe(409, "environment.experiments_running");
        (await given.Sdk.Get("/api/v1/flags/")).Must(200);
        (await given.Act(experiment.Id, "pause")).Must(200);

        (await service.Admin.Delete(path)).Must(204);

        (await service.Admin.Get(given.Experiments)).MustBe(403, "access.denied");
        await Given.Eventually(async () => (await given.Sdk.Get("/api/v1/flags/")).Code == 403);
        (await service.Admin.Get($"{Project(given)}environments/")).Must(200)["count"].GetValue<int>().ShouldBe(0);
        (await service.Admin.Delete(path)).MustBe(404, "environment.not_found");
        (await service.Admin.Post($"{Project(given)}environments/", new { name = "production" })).Must(201).Id.ShouldNotBe(id);
        (await service.Query<long>("SELECT count(*) FROM experiments WHERE environment_id = @id", new { id })).ShouldBe(1);
        (await service.Admin.Get($"{Project(given)}audit/?object_type=environment"))
            .Must(200)["results"]
            .AsArray()
            .ShouldContain(entry => entry!["action"]!.GetValue<string>() == "environment.deleted");
    }

    [Fact]
    public async Task A_project_is_deleted_with_its_environments_unless_an_experiment_is_running()
    {
        var (given, _, _) = await AnEnvironment();
        var sibling = await given.Sibling();
        var experiment = await sibling.Start(await sibling.AnExperiment());
        (await service.Admin.Delete(Project(given))).MustBe(409, "environment.experiments_running");
        (await sibling.Act(experiment.Id, "complete")).Must(200);

        (await service.Admin.Delete(Project(given))).Must(204);

        foreach (var gone in new[] { given, sibling })
        {
            (await service.Admin.Get(gone.Experiments)).MustBe(403, "access.denied");
        }

        (await service.Admin.Get($"{Project(given)}environments/")).MustBe(403, "access.denied");
        (
            await service.Query<long>(
                "SELECT count(*) FROM environments WHERE project_id = @ProjectId AND deleted_at IS NOT NULL",
                new { given.ProjectId }
            )
        ).ShouldBe(2);
    }

    private async Task<(Given Given, string Path, long Id)> AnEnvironment()
    {
        var given = await Given.AnEnvironment(service);
        var id = (await service.Admin.Get($"{Project(given)}environments/")).Must(200)["results"][0]!["id"]!.GetValue<long>();
        return (given, $"{Project(given)}environments/{id}/", id);
    }

    private static string Project(Given given) => $"/api/v1/projects/{given.ProjectId}/";
}
