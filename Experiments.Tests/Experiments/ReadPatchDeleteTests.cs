namespace Experiments.Tests.Experiments;

public class ReadPatchDeleteTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("999999")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("abc")]
    [InlineData("1.5")]
    [InlineData("99999999999999999999")]
    [InlineData("%00")]
    public async Task What_is_no_id_of_an_experiment_is_not_found(string id)
    {
        var given = await Given.AnEnvironment(service);

        if (id == "%00")
        {
            (await given.Admin.Get($"{given.Experiments}{id}/")).Code.ShouldBe(400);
            return;
        }

        (await given.Admin.Get($"{given.Experiments}{id}/")).MustBe(404, "experiment.not_found");
        (await given.Admin.Patch($"{given.Experiments}{id}/", new { name = "n" })).MustBe(404, "experiment.not_found");
        (await given.Admin.Delete($"{given.Experiments}{id}/")).MustBe(404, "experiment.not_found");
        (await given.Admin.Post($"{given.Experiments}{id}/start/")).MustBe(404, "experiment.not_found");
    }

    [Theory]
    [InlineData("created")]
    [InlineData("running")]
    [InlineData("paused")]
    [InlineData("completed")]
    public async Task Texts_may_change_in_every_status(string status)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs(status);

        var patched = (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/",
                new
                {
                    name = " New ",
                    hypothesis = "h2",
                    description = "",
                }
            )
        ).Must(200);

        patched["name"].GetValue<string>().ShouldBe("New");
        patched["hypothesis"].GetValue<string>().ShouldBe("h2");
        patched["status"].GetValue<string>().ShouldBe(status);
        patched.ETag.ShouldNotBe(experiment.ETag);
        string.CompareOrdinal(patched["updated_at"].GetValue<string>(), experiment["updated_at"].GetValue<string>()).ShouldBeGreaterThan(0);
        var (before, after) = await service.Query<(string, string)>(
            "SELECT before->>'name', after->>'name' FROM audit_log WHERE action = 'experiment.updated' AND object_id = @Id",
            new { experiment.Id }
        );
        (before, after).ShouldBe(("Green button", "New"));
    }

    [Fact]
    public async Task A_patch_that_changes_nothing_writes_nothing()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        var patched = (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { name = "Green button" })).Must(200);
        var empty = (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { })).Must(200);

        patched.Text.ShouldBe(experiment.Text);
        empty.ETag.ShouldBe(experiment.ETag);
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created"]);
    }

    [Theory]
    [InlineData("""{"name": null}""", "name")]
    [InlineData("""{"name": " "}""", "name")]
    [InlineData("""{"hypothesis": ""}""", "hypothesis")]
    [InlineData("""{"description": null}""", "description")]
    [InlineData("""{"archived": null}""", "archived")]
    [InlineData("""{"archived": "yes"}""", "archived")]
    [InlineData("""{"name": ["x"]}""", "name")]
    [InlineData("""{"status": "running", "feature": 1, "started_at": null, "metrics": []}""", "status", "feature", "started_at", "metrics")]
    [InlineData("""{"name": "n", "nome": "n"}""", "nome")]
    public async Task What_may_not_change_here_is_refused_by_name(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", body)).MustName(fields);

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(experiment.Text);
    }

    [Fact]
    public async Task A_running_experiment_can_be_neither_archived_nor_deleted()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { archived = true })).MustBe(409, "experiment.running");
        (await given.Admin.Delete($"{given.Experiments}{experiment.Id}/")).MustBe(409, "experiment.running");

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(experiment.Text);
    }

    [Theory]
    [InlineData("created")]
    [InlineData("paused")]
    [InlineData("completed")]
    public async Task Deleting_hides_an_experiment_and_keeps_its_row(string status)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs(status);

        var deleted = (await given.Admin.Delete($"{given.Experiments}{experiment.Id}/")).Must(204);

        deleted.Text.ShouldBeEmpty();
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).MustBe(404, "experiment.not_found");
        (await given.Admin.Delete($"{given.Experiments}{experiment.Id}/")).MustBe(404, "experiment.not_found");
        (await given.Act(experiment.Id, "start")).MustBe(404, "experiment.not_found");
        (await service.Query<bool>("SELECT deleted_at IS NOT NULL FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBeTrue();
        (await given.Audit("experiment", experiment.Id))[^1].ShouldBe("experiment.deleted");
    }
}
