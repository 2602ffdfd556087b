using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace Experiments.Tests.Pages;

/// <summary>Sign-in with OpenID Connect, at a provider that checks what it is sent.</summary>
public sealed class OidcTests(TestCluster cluster, Browser browser) : IClassFixture<TestCluster>, IClassFixture<Browser>, IAsyncLifetime
{
    private readonly List<string> _wrong = [];
    private WebApplication _provider = null!;
    private WebApplication _service = null!;
    private string _challenge = "";

    public async ValueTask InitializeAsync()
    {
        _provider = WebApplication.CreateSlimBuilder(["--urls=http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]).Build();
        _provider.Use(
            (http, next) =>
            {
                http.Response.Headers.AccessControlAllowOrigin = "*";
                return next(http);
            }
        );
        _provider.MapGet(
            "/.well-known/openid-configuration",
            () =>
                TypedResults.Json(
                    new Dictionary<string, string>
                    {
                        ["authorization_endpoint"] = $"{_provider.Urls.First()}/authorize",
                        ["token_endpoint"] = $"{_provider.Urls.First()}/token",
                    }
                )
        );
        _provider.MapGet(
            "/authorize",
            (HttpRequest request) =>
            {
                _challenge = request.Query["code_challenge"].ToString();
                Demand(request.Query["response_type"] == "code" && request.Query["code_challenge_method"] == "S256", "authorize");
                Demand(request.Query["client_id"] == "pages" && request.Query["scope"] == "openid profile", "client");
                return TypedResults.Redirect($"{request.Query["redirect_uri"]}?code=the-code&state={request.Query["state"]}");
            }
        );
        _provider.MapPost(
            "/token",
            async (HttpRequest request) =>
            {
                var form = await request.ReadFormAsync();
                var hash = WebEncoders.Base64UrlEncode(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString())));
                Demand(hash == _challenge && form["code"] == "the-code" && form["grant_type"] == "authorization_code", "token");
                return TypedResults.Json(new Dictionary<string, string> { ["access_token"] = TestService.Token("alice") });
            }
        );
        await _provider.StartAsync();
        _service = await TestService.Start(
            await cluster.NewDatabase(),
            $"--Pages:Oidc:Authority={_provider.Urls.First()}",
            "--Pages:Oidc:ClientId=pages"
        );
    }

    public async ValueTask DisposeAsync()
    {
        await _service.StopAsync();
        await _service.DisposeAsync();
        await _provider.StopAsync();
        await _provider.DisposeAsync();
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Somebody_signs_in_at_the_provider_and_comes_back_to_where_they_were()
    {
        var address = new Uri(_service.Urls.First());
        var admin = new Client(address, $"Api-Key {TestService.AdminKey}");
        var project = (await admin.Post("/api/v1/projects/", new { name = "Shop", organisation = "Acme" })).Must(201);
        var environment = (await admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "production" })).Must(201);
        (await admin.Post($"/api/v1/projects/{project.Id}/admins/", new { subject = "alice", role = "editor" })).Must(201);
        var page = $"/app/{environment["key"].GetValue<string>()}/metrics";
        await using var tab = await browser.OpenAt(address, null);

        await tab.Goto(page);
        await tab.Button("Sign in").First.ClickAsync();

        await tab.Says("No metric");
        new Uri(tab.Page.Url).PathAndQuery.ShouldBe(page);
        _wrong.ShouldBeEmpty();
        tab.Problems.ShouldBeEmpty();
    }

    private void Demand(bool holds, string what)
    {
        if (!holds)
        {
            _wrong.Add(what);
        }
    }
}
