using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Experiments.Tests.Clients;

namespace Experiments.Tests.Pages;

/// <summary>The files of the pages.</summary>
public class SourceTests(SharedService service, NodeClients clients) : IClassFixture<SharedService>, IClassFixture<NodeClients>
{
    private static readonly string Root = Path.Combine(Repository.Root, "Experiments.Api", "wwwroot");

    private readonly NodeClients _ = clients;

    [Fact]
    public async Task What_is_vendored_is_the_file_of_its_package()
    {
        var manifest = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(Root, "lib", "manifest.json")))!.AsObject();
        Directory
            .GetFiles(Path.Combine(Root, "lib"))
            .Select(Path.GetFileName)
            .Where(name => name!.EndsWith(".js", StringComparison.Ordinal))
            .ShouldBe(manifest.Select(file => file.Key), ignoreOrder: true);
        foreach (var (name, of) in manifest)
        {
            var package = Path.Combine(NodeClients.Packages, of!["package"]!.GetValue<string>());
            var own = await File.ReadAllBytesAsync(Path.Combine(Root, "lib", name));
            JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(package, "package.json")))!["version"]!
                .GetValue<string>()
                .ShouldBe(of["version"]!.GetValue<string>());
            own.ShouldBe(await File.ReadAllBytesAsync(Path.Combine(package, of["file"]!.GetValue<string>())));
            Convert.ToHexStringLower(SHA256.HashData(own)).ShouldBe(of["sha256"]!.GetValue<string>());
        }
    }

    [Fact]
    public async Task Without_pages_the_API_is_the_same()
    {
        await using var app = await TestService.Start(service.ConnectionString, "--Pages:Enabled=false");
        var client = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");

        (await client.Get("/")).MustBe(404, "route.not_found");
        (await client.Get("/app/main.js")).MustBe(404, "route.not_found");
        (await client.Get("/api/v1/projects/")).Must(200);
        await app.StopAsync();
    }

    [Fact]
    public void All_modules_are_asked_for_at_once()
    {
        var page = File.ReadAllText(Path.Combine(Root, "index.html"));
        var modules = Directory
            .EnumerateFiles(Root, "*.js", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Root, file))
            .Where(file => file != "main.js");

        System
            .Text.RegularExpressions.Regex.Matches(page, "modulepreload\" href=\"/app/(?<file>[^\"]+)\"")
            .Select(link => link.Groups["file"].Value)
            .ShouldBe(modules, ignoreOrder: true);
    }

    [Fact]
    public void Files_are_short_and_nothing_is_inline()
    {
        foreach (
            var file in Directory
                .EnumerateFiles(Root, "*", SearchOption.AllDirectories)
                .Where(file => !file.Contains("/lib/", StringComparison.Ordinal))
        )
        {
            var text = File.ReadAllText(file);
            text.Split('\n').Length.ShouldBeLessThanOrEqualTo(201, file);
            text.Replace("http://www.w3.org/2000/svg", "", StringComparison.Ordinal).ShouldNotContain("http://", Case.Sensitive, file);
            if (file.EndsWith(".html", StringComparison.Ordinal))
            {
                text.ShouldNotContain("<style");
                text.ShouldNotContain("onclick");
            }
        }
    }

    [Fact]
    public async Task Files_are_asked_for_again_and_answered_with_304_while_they_are_the_same()
    {
        var first = (await service.As(null).Get("/app/main.js")).Must(200);
        first.ContentHeaders.ContentType!.MediaType.ShouldBe("text/javascript");
        var tag = first.Headers.ETag!.ToString();
        (await service.As(null).Send(HttpMethod.Get, "/app/main.js", null, ("If-None-Match", tag))).Must(304);
        (await service.As(null).Get("/app/any/address/of/a/page")).Must(200).Text.ShouldContain("<div id=\"app\">");
        (await service.As(null).Get("/app/missing.js")).MustBe(404, "route.not_found");
        (await service.As(null).Get("/app/../appsettings.json")).MustBe(404, "route.not_found");
        (await service.As(null).Get("/app/%2e%2e/appsettings.json")).Code.ShouldBe(404);
        (await service.As(null).Get("/app/..%2fappsettings.json")).Code.ShouldBe(404);
        (await service.As(null).Get("/app/settings.json")).Must(200).Json!["oidc"].ShouldBeNull();
        (await service.As(null).Post("/app/sign-in", new { code = "unknown" })).MustBe(404, "sign_in_code.used");
        (await service.As(null).Get("/")).Code.ShouldBe(302);
    }
}
