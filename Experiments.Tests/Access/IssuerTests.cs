using System.Security.Cryptography;
using Experiments.Api.Platform.Access;
using Microsoft.Extensions.Configuration;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

namespace Experiments.Tests.Access;

/// <summary>Where tokens come from two issuers, a subject of the one is nobody to the other.</summary>
public class IssuerTests(IssuerTests.TwoIssuers service) : IClassFixture<IssuerTests.TwoIssuers>
{
    private const string Partner = "https://partner.example";
    private const string Keyless = "https://keyless.example";
    private static readonly byte[] PartnersKey = RandomNumberGenerator.GetBytes(32);

    public sealed class TwoIssuers(TestCluster cluster) : TestService(cluster)
    {
        protected override string[] Settings =>
            [
                $"--Authentication:Schemes:Bearer:ValidIssuers:0={Issuer}",
                $"--Authentication:Schemes:Bearer:ValidIssuers:1={Partner}",
                $"--Authentication:Schemes:Bearer:ValidIssuers:2={Keyless}",
                $"--Authentication:Schemes:Bearer:SigningKeys:1:Issuer={Partner}",
                $"--Authentication:Schemes:Bearer:SigningKeys:1:Value={Convert.ToBase64String(PartnersKey)}",
            ];

        public Client AsPartner(string subject) => As($"Bearer {Token(subject, Partner, key: PartnersKey)}");
    }

    [Fact]
    public async Task An_admin_of_one_issuer_is_none_of_another()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "alice", issuer = TestService.Issuer }))
            .Must(201)["issuer"]
            .GetValue<string>()
            .ShouldBe(TestService.Issuer);

        (await service.AsUser("alice").Get(given.Experiments)).Must(200);
        (await service.AsPartner("alice").Get(given.Experiments)).MustBe(403, "access.denied");

        // Both may be, and each is one of its own.
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "alice", issuer = Partner })).Must(201);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "alice", issuer = Partner })).MustBe(409, "admin.already_added");
        (await service.AsPartner("alice").Post(given.Features, new { name = "by partner" })).Must(201);
        (
            await service.QueryAll<string>(
                "SELECT actor FROM audit_log a JOIN environments e ON e.id = a.environment_id WHERE e.key = @Key AND object_type = "
                    + "'feature'",
                new { given.Key }
            )
        ).ShouldBe([$"{Partner}|alice"]);
    }

    [Fact]
    public async Task An_issuer_is_named_where_there_are_several_and_must_be_one_of_them()
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "bob" })).MustName("issuer");
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "bob", issuer = "https://other.example" })).MustName("issuer");
        (await service.Query<long>("SELECT count(*) FROM admins WHERE subject = 'bob'")).ShouldBe(0);
    }

    [Fact]
    public async Task A_key_signs_for_its_own_issuer_only()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "carol", issuer = TestService.Issuer })).Must(201);

        var forged = TestService.Token("carol", TestService.Issuer, key: PartnersKey);

        (await service.As($"Bearer {forged}").Get(given.Experiments)).MustBe(401, "credential.invalid");
        (await service.AsUser("carol").Get(given.Experiments)).Must(200);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("unknown")]
    public async Task An_issuer_without_a_key_of_its_own_is_signed_for_by_nobody(string? keyId)
    {
        var forged = TestService.Token("carol", Keyless, key: PartnersKey, keyId: keyId);

        (await service.As($"Bearer {forged}").Get("/api/v1/projects/")).MustBe(401, "credential.invalid");
    }

    [Fact]
    public void An_authority_is_an_issuer_whatever_it_is_called()
    {
        OfSettings(("ValidIssuer", "https://a")).AreSeveral.ShouldBeFalse();
        OfSettings(("Authority", "https://a")).AreSeveral.ShouldBeFalse();
        OfSettings(("Authority", "https://a"), ("ValidIssuer", "https://a/")).AreSeveral.ShouldBeFalse();
        OfSettings(("Authority", "https://a/v2"), ("ValidIssuer", "https://sts.a")).AreSeveral.ShouldBeFalse();
        OfSettings(("ValidIssuers:0", "https://a"), ("ValidIssuers:1", "https://b")).AreSeveral.ShouldBeTrue();
        var mixed = OfSettings(
            ("Authority", "https://a"),
            ("ValidIssuer", "https://b"),
            ("SigningKeys:0:Issuer", "https://b"),
            ("SigningKeys:0:Value", Convert.ToBase64String(PartnersKey))
        );
        mixed.AreSeveral.ShouldBeTrue();
        mixed.MayBe("https://a").ShouldBeTrue();
        mixed.KeysOf("https://b", null, null).Count().ShouldBe(1);
        mixed.KeysOf("https://a", null, null).ShouldBeEmpty();
        mixed.KeysOf("https://a", "x", new OpenIdConnectConfiguration { Issuer = "https://a" }).ShouldBeEmpty();

        static Issuers OfSettings(params (string Name, string Value)[] settings) =>
            new(
                new ConfigurationBuilder()
                    .AddInMemoryCollection(
                        settings.ToDictionary(setting => $"Authentication:Schemes:Bearer:{setting.Name}", setting => (string?)setting.Value)
                    )
                    .Build()
            );
    }

    [Fact]
    public async Task What_one_has_asked_for_under_a_key_the_other_does_not_get()
    {
        var given = await Given.AnEnvironment(service);
        foreach (var issuer in new[] { TestService.Issuer, Partner })
        {
            (await given.Admin.Post($"{given.Root}/admins/", new { subject = "dora", issuer })).Must(201);
        }

        var mine = (await service.AsUser("dora").Post($"{given.Root}/api-keys/", new { name = "k" }, ("Idempotency-Key", "create-1"))).Must(
            201
        );
        var theirs = (
            await service.AsPartner("dora").Post($"{given.Root}/api-keys/", new { name = "k" }, ("Idempotency-Key", "create-1"))
        ).Must(201);

        theirs.Id.ShouldNotBe(mine.Id);
        theirs["key"].GetValue<string>().ShouldNotBe(mine["key"].GetValue<string>());
    }

    [Theory]
    [InlineData("service")]
    [InlineData("Service")]
    [InlineData("api-key:1")]
    public async Task Nobody_passes_for_the_service_or_a_key(string subject)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Post($"{given.Root}/admins/", new { subject, issuer = TestService.Issuer })).MustName("subject");
        (await service.AsUser(subject).Get("/api/v1/projects/")).MustBe(401, "credential.invalid");
    }

    [Fact]
    public async Task A_subject_too_long_to_be_stored_is_no_person() =>
        (await service.AsUser(new string('x', 5000)).PostText("/api/v1/analysis/adjust", """{"method": "holm", "p_values": []}""")).MustBe(
            401,
            "credential.invalid"
        );
}
