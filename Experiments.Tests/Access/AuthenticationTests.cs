namespace Experiments.Tests.Access;

public class AuthenticationTests(TestService service) : IClassFixture<TestService>
{
    [Theory]
    [InlineData(null, "credential.missing")]
    [InlineData("Api-Key", "credential.invalid")]
    [InlineData("Api-Key ", "credential.invalid")]
    [InlineData("Api-Key wrong", "credential.invalid")]
    [InlineData("Token exp_the_first_admin_key_of_the_tests", "credential.invalid")]
    [InlineData("exp_the_first_admin_key_of_the_tests", "credential.invalid")]
    [InlineData("Bearer exp_of_nobody", "credential.invalid")]
    [InlineData("Bearer a.b.c", "credential.invalid")]
    [InlineData("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.", "credential.invalid")]
    [InlineData("Basic YTpi", "credential.invalid")]
    public async Task Without_a_good_credential_nobody_gets_further(string? authorization, string code)
    {
        foreach (
            var path in new[]
            {
                "/api/v1/projects/",
                "/api/v1/environments/any/experiments/",
                "/api/v1/environments/any/experiments/abc/",
                "/api/v1/me/",
            }
        )
        {
            var reply = (await service.As(authorization).Get(path)).MustBe(401, code);
            reply.Headers.WwwAuthenticate.Select(challenge => challenge.Scheme).ShouldBe(["Api-Key", "Bearer"]);
        }
    }

    [Theory]
    [InlineData("Api-Key")]
    [InlineData("api-key")]
    [InlineData("API-KEY")]
    [InlineData("Bearer")]
    [InlineData("bearer ")]
    public async Task The_scheme_may_be_written_in_any_case(string scheme) =>
        (await service.As($"{scheme} {TestService.AdminKey}").Get("/api/v1/projects/")).Must(200);

    [Fact]
    public async Task Two_credentials_are_none()
    {
        var given = await Given.AnEnvironment(service);

        (await service.Admin.Get(given.Experiments, ("Authorization", "Api-Key other"))).MustBe(401, "credential.invalid");
    }

    [Fact]
    public async Task A_token_of_the_configured_issuer_is_its_subject()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "dave" })).Must(201);

        var feature = (await service.AsUser("dave").Post(given.Features, new { name = "by dave" })).Must(201);

        (
            await service.Query<string>("SELECT actor FROM audit_log WHERE object_type = 'feature' AND object_id = @Id", new { feature.Id })
        ).ShouldBe("dave");
    }

    [Fact]
    public async Task Any_other_token_is_refused()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "erin" })).Must(201);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "api-key:1" })).MustName("subject");

        foreach (
            var (reason, token) in new[]
            {
                ("another issuer", TestService.Token("erin", issuer: "https://other.example")),
                ("another audience", TestService.Token("erin", audience: "payments")),
                ("expired", TestService.Token("erin", lifetime: TimeSpan.FromMinutes(-5))),
                ("another signature", TestService.Token("erin", key: new byte[32])),
                ("no subject", TestService.Token("")),
                ("a subject with a NUL", TestService.Token("erin\0")),
                ("a subject that passes for a key", TestService.Token("api-key:1")),
            }
        )
        {
            (await service.As($"Bearer {token}").Get(given.Experiments)).Code.ShouldBe(401, reason);
        }

        (await service.AsUser("erin").Get(given.Experiments)).Must(200);
    }

    [Fact]
    public async Task An_environments_key_is_no_credential()
    {
        var given = await Given.AnEnvironment(service);

        (await service.As($"Api-Key {given.Key}").Get(given.Experiments)).MustBe(401, "credential.invalid");
        (await service.As(null).Get(given.Experiments, ("X-Environment-Key", given.Key))).MustBe(401, "credential.missing");
    }

    [Fact]
    public async Task The_first_admin_key_is_stored_as_its_hash()
    {
        (
            await service.Query<long>(
                "SELECT count(*) FROM api_keys WHERE hash = sha256(convert_to(@AdminKey, 'UTF8')) AND environment_id IS NULL",
                new { TestService.AdminKey }
            )
        ).ShouldBe(1);
    }
}
