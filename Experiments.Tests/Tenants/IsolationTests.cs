namespace Experiments.Tests.Tenants;

public class IsolationTests(TestService service) : IClassFixture<TestService>
{
    [Fact]
    public async Task Lists_and_the_log_show_nothing_of_another_environment()
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        var experiment = await theirs.AnExperiment();
        await theirs.Admin.Post($"{theirs.Root}/admins/", new { subject = "carol" });
        await theirs.Admin.Post($"{theirs.Root}/api-keys/", new { name = "ci" });

        foreach (var list in new[] { "experiments/", "admins/", "api-keys/" })
        {
            (await ours.Admin.Get($"{ours.Root}/{list}")).Must(200)["count"].GetValue<int>().ShouldBe(0, list);
        }

        var stranger = await theirs.Stranger();
        (await stranger.Admin.Get(stranger.Features)).Must(200)["count"].GetValue<int>().ShouldBe(0);

        (await ours.Admin.Get($"{ours.Root}/audit/?object_type=experiment&object_id={experiment.Id}"))["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task An_environment_of_others_and_one_that_does_not_exist_are_told_apart_by_nothing()
    {
        var theirs = await Given.AnEnvironment(service);
        var stranger = service.AsUser("stranger");

        var existing = (await stranger.Get(theirs.Experiments)).MustBe(403, "access.denied");
        var missing = (await stranger.Get("/api/v1/environments/nowhere/experiments/")).MustBe(403, "access.denied");
        var malformed = (await stranger.PostText(theirs.Experiments, "{not json", "text/plain")).MustBe(403, "access.denied");

        existing["detail"].GetValue<string>().ShouldBe(missing["detail"].GetValue<string>());
        malformed.Fields.ShouldBeEmpty();
        (await service.Admin.Get("/api/v1/environments/nowhere/experiments/")).MustBe(403, "access.denied");
    }
}
