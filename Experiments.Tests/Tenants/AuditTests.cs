namespace Experiments.Tests.Tenants;

public class AuditTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task Every_kind_of_object_that_is_logged_can_be_asked_for()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "alice" })).Must(201);
        (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "k" })).Must(201);
        (await given.Admin.Post($"{given.Root}/holdouts/", new { name = "h", percentage = 5 })).Must(201);
        await given.AMetric("count");
        var experiment = await given.AnExperimentThatIs("running");
        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/exposure-cohort/")).Must(201);

        var logged = await service.QueryAll<string>(
            "SELECT DISTINCT object_type FROM audit_log a JOIN environments e ON e.id = a.environment_id WHERE e.key = @Key ORDER BY 1",
            new { given.Key }
        );

        logged.ShouldBe(["admin", "api_key", "cohort", "environment", "experiment", "feature", "holdout", "metric"]);
        foreach (var type in logged)
        {
            var entries = (await given.Admin.Get($"{given.Root}/audit/?object_type={type}")).Must(200)["results"].AsArray();
            entries.ShouldNotBeEmpty(type);
            entries.ShouldAllBe(entry => entry!["object_type"]!.GetValue<string>() == type);
        }

        (await given.Admin.Get($"{given.Root}/audit/?object_type=planet")).MustName("object_type");
    }
}
