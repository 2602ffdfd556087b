namespace Experiments.Tests.Access;

public class GateTests(GateTests.RolledOutService service) : IClassFixture<GateTests.RolledOutService>
{
    [Fact]
    public async Task A_closed_gate_answers_admins_with_404_and_everyone_else_as_ever()
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Get(given.Experiments)).MustBe(404, "gate.closed");
        (await given.Admin.Get($"{given.Root}/audit/")).MustBe(404, "gate.closed");
        (await given.Admin.PostText(given.Experiments, "{not json")).MustBe(404, "gate.closed");
        (await service.AsUser("stranger").Get(given.Experiments)).MustBe(403, "access.denied");
        (await service.As(null).Get(given.Experiments)).MustBe(401, "credential.missing");
    }

    [Theory]
    [InlineData("early", "any", "anyone")]
    [InlineData("any", "early", "anyone")]
    [InlineData("any", "any", "early")]
    public async Task It_opens_for_one_organisation_project_or_user(string organisation, string project, string user)
    {
        var made = (await service.Admin.Post("/api/v1/projects/", new { name = project, organisation })).Must(201);
        var environment = (await service.Admin.Post($"/api/v1/projects/{made.Id}/environments/", new { name = "production" })).Must(201);
        (await service.Admin.Post($"/api/v1/projects/{made.Id}/admins/", new { subject = user })).Must(201);

        (await service.AsUser(user).Get($"/api/v1/environments/{environment["key"].GetValue<string>()}/experiments/")).Must(200);
    }

    [Fact]
    public async Task It_opens_for_one_environment()
    {
        var given = await Given.AnEnvironment(service);
        await service.Execute("UPDATE environments SET key = 'early-environment' WHERE key = @Key", new { given.Key });

        (await given.Admin.Get("/api/v1/environments/early-environment/experiments/")).Must(200);
    }

    [Fact]
    public async Task Making_projects_and_environments_stands_before_the_gate() => await Given.AnEnvironment(service);

    public sealed class RolledOutService(TestCluster cluster) : TestService(cluster)
    {
        private const string Gate = "--FeatureManagement:experimental_flags:EnabledFor:0:";

        protected override string[] Settings =>
            [
                "--FeatureManagement:experimental_flags=",
                $"{Gate}Name=Microsoft.Targeting",
                $"{Gate}Parameters:Audience:DefaultRolloutPercentage=0",
                $"{Gate}Parameters:Audience:Users:0=early",
                $"{Gate}Parameters:Audience:Groups:0:Name=early",
                $"{Gate}Parameters:Audience:Groups:0:RolloutPercentage=100",
                $"{Gate}Parameters:Audience:Groups:1:Name=early-environment",
                $"{Gate}Parameters:Audience:Groups:1:RolloutPercentage=100",
            ];
    }
}
