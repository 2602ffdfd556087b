namespace Experiments.Tests.Http;

/// <summary>The pages of a front end may call the management API from the origins that the operator names.</summary>
public class ManagementCorsTests(ManagementCorsTests.WithOrigins service, SharedService plain)
    : IClassFixture<ManagementCorsTests.WithOrigins>,
        IClassFixture<SharedService>
{
    private const string Ours = "https://admin.example:8443";

    public sealed class WithOrigins(TestCluster cluster) : TestService(cluster)
    {
        protected override string[] Settings => [$"--Cors:Origins=https://other.example, {Ours}"];
    }

    [Theory]
    [InlineData(Ours, true)]
    [InlineData("https://other.example", true)]
    [InlineData("https://evil.example", false)]
    public async Task A_browser_may_ask_before_and_read_afterwards_what_comes(string origin, bool allowed)
    {
        var given = await Given.AnEnvironment(service);

        var asked = await service
            .As(null)
            .Send(
                HttpMethod.Options,
                given.Experiments,
                null,
                ("Origin", origin),
                ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
            );
        var read = await given.Admin.Get(given.Experiments, ("Origin", origin));
        var refused = await service.As(null).Get(given.Experiments, ("Origin", origin));

        read.Must(200);
        refused.MustBe(401, "credential.missing");
        foreach (var reply in new[] { asked, read, refused })
        {
            reply.Headers.Contains("Access-Control-Allow-Origin").ShouldBe(allowed);
            reply.Headers.Contains("Access-Control-Allow-Credentials").ShouldBeFalse();
        }

        if (allowed)
        {
            asked.Code.ShouldBe(204);
            read.Headers.GetValues("Access-Control-Expose-Headers").Single().ShouldContain("ETag");
        }
    }

    [Fact]
    public async Task A_page_can_read_that_its_request_was_too_large()
    {
        var given = await Given.AnEnvironment(service);

        var refused = await given.Admin.Send(
            HttpMethod.Post,
            given.Experiments,
            Client.Bytes(new byte[(1024 * 1024) + 1]),
            ("Origin", Ours)
        );

        refused.MustBe(413, "body.too_large");
        refused.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe([Ours]);
    }

    [Fact]
    public async Task Without_the_setting_no_page_may_call_it_and_applications_may_be_called_from_anywhere()
    {
        var given = await Given.AnEnvironment(plain);

        (await given.Admin.Get(given.Experiments, ("Origin", Ours))).Headers.Contains("Access-Control-Allow-Origin").ShouldBeFalse();
        (await given.Sdk.Get("/api/v1/flags/", ("Origin", Ours))).Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["*"]);
    }
}
