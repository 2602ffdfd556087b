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

    [Fact]
    public async Task An_entry_says_which_request_from_which_address_made_the_change()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("created");
        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/start/", null, ("X-Request-Id", "deploy-7"))).Must(200);
        (await given.Admin.Delete($"{given.Root}/metrics/{(await given.AMetric("count")).Id}", ("X-Request-Id", "tidy-8"))).Must(204);

        foreach (
            var (type, action, request) in new[]
            {
                ("experiment", "experiment.started", "deploy-7"),
                ("metric", "metric.deleted", "tidy-8"),
            }
        )
        {
            var entry = (await given.Admin.Get($"{given.Root}/audit/?object_type={type}"))
                .Must(200)["results"]
                .AsArray()
                .Single(one => one!["action"]!.GetValue<string>() == action)!;
            entry["request_id"]!.GetValue<string>().ShouldBe(request);
            entry["address"]!.GetValue<string>().ShouldBe("127.0.0.1");
        }

        (
            await service.QueryAll<string>(
                "SELECT DISTINCT action FROM audit_log a JOIN environments e ON e.id = a.environment_id "
                    + "WHERE e.key = @Key AND num_nulls(request_id, address) > 0",
                new { given.Key }
            )
        ).ShouldBeEmpty();
    }

    [Fact]
    public async Task The_log_cannot_be_changed_by_a_mistaken_statement()
    {
        await Given.AnEnvironment(service);
        foreach (var statement in new[] { "DELETE FROM audit_log", "UPDATE audit_log SET actor = 'nobody'", "TRUNCATE audit_log" })
        {
            (await Should.ThrowAsync<Npgsql.PostgresException>(() => service.QueryAll<int>(statement, new { }))).SqlState.ShouldBe(
                Npgsql.PostgresErrorCodes.RestrictViolation
            );
        }
    }
}
