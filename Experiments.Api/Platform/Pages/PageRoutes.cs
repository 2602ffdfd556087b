using System.Text.Json;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace Experiments.Api.Platform.Pages;

/// <summary>
/// The pages: files of <c>wwwroot</c> that use the public API and nothing else. Every path without a file is one of their addresses, so
/// all views can be linked.
/// </summary>
internal static class PageRoutes
{
    public const string Root = "/app";

    private static readonly FileExtensionContentTypeProvider ContentTypes = new();

    public static void AddPages(this IServiceCollection services)
    {
        services
            .AddOptions<PagesOptions>()
            .BindConfiguration(PagesOptions.Section)
            .ValidateOnStart()
            .Validate(
                options => options.Oidc.IsComplete || options.Oidc.IsAbsent,
                "Pages:Oidc:Authority must be an absolute address, for example https://issuer.example, with Pages:Oidc:ClientId beside it."
            );
        services.AddSingleton<SignInCodes>();
    }

    public static void MapPages(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<IOptions<PagesOptions>>().Value;
        if (!options.Enabled)
        {
            return;
        }

        var files = new PhysicalFileProvider(Path.Combine(AppContext.BaseDirectory, "wwwroot"));
        var settings = JsonSerializer.SerializeToUtf8Bytes(Settings.Of(options.Oidc), ApiJson.Options);
        app.MapGet("/", () => Results.Redirect($"{Root}/")).RequireAuthorization(Policies.Everyone).ExcludeFromDescription();
        var pages = app.MapGroup(Root)
            .RequireAuthorization(Policies.Everyone)
            .AsApplication([options.Oidc.Authority?.GetLeftPart(UriPartial.Authority) ?? "", options.ConnectTo])
            .ExcludeFromDescription();
        pages.MapGet("/settings.json", () => BufferedResponse.OfBytes(StatusCodes.Status200OK, settings));
        pages.MapGet("/{**path}", (string? path, HttpContext http) => File(http, files, path ?? ""));
        pages.MapPost("/sign-in", SignIn);
    }

    private static IResult File(HttpContext http, PhysicalFileProvider files, string path)
    {
        var name = Path.HasExtension(path) ? path : "index.html";
        var file = files.GetFileInfo(name);
        if (!file.Exists)
        {
            return BufferedResponse.Of(Problem.NoRoute);
        }

        // Asked for again each time, and answered with 304 while it is the same, so that no two releases are mixed.
        http.Response.Headers.CacheControl = "no-cache";
        ContentTypes.TryGetContentType(name, out var type);
        return Results.File(
            file.PhysicalPath!,
            type,
            lastModified: file.LastModified,
            entityTag: new EntityTagHeaderValue(
                $"\"{Startup.Build.Version}-{file.LastModified.ToUnixTimeMilliseconds():x}-{file.Length:x}\""
            )
        );
    }

    private static async Task<IResult> SignIn(HttpContext http, SignInCodes codes)
    {
        var body = await JsonBody.Read<Code>(http.Request, required: true);
        return body.Failure is { } refused ? BufferedResponse.Of(refused)
            : codes.Redeem(body.Value!.Value) is { } key ? BufferedResponse.Of(StatusCodes.Status200OK, new Session(key))
            : BufferedResponse.Of(Problem.SignInCodeUsed);
    }

    private sealed record Code([property: System.Text.Json.Serialization.JsonPropertyName("code")] string? Value = null);

    private sealed record Session(string Key);

    private sealed record Settings(string Version, Settings.Provider? Oidc)
    {
        public static Settings Of(PagesOptions.OidcOptions oidc) =>
            new(Startup.Build.Version, oidc.IsComplete ? new(oidc.Authority!.AbsoluteUri.TrimEnd('/'), oidc.ClientId!, oidc.Scope) : null);

        internal sealed record Provider(string Authority, string ClientId, string Scope);
    }
}
