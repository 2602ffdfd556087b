using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace Experiments.Api.Platform.Access;

/// <summary>Authenticates <c>Authorization: Api-Key &lt;secret&gt;</c>, and answers for every request without a credential.</summary>
internal sealed class ApiKeyAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options,
    ILoggerFactory logger,
    UrlEncoder encoder,
    AccessStore access
) : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public new const string Scheme = "Api-Key";

    /// <summary>The secret of a request that has one, however its scheme is spelt.</summary>
    public static string SecretIn(HttpRequest request) => request.Headers.Authorization.ToString()[(Scheme.Length + 1)..].Trim();

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization;
        if (header.Count == 0)
        {
            return AuthenticateResult.NoResult();
        }

        if (header.Count > 1 || header[0]?.StartsWith(Scheme + " ", StringComparison.OrdinalIgnoreCase) != true)
        {
            return AuthenticateResult.Fail("Not a single Api-Key.");
        }

        return await access.Identify(SecretIn(Request), Context.RequestAborted) is { } actor
            ? AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ActorIdentity(actor, Scheme)), Scheme))
            : AuthenticateResult.Fail("No such key.");
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.StatusCode = StatusCodes.Status401Unauthorized;
        Response.Headers.Append(HeaderNames.WWWAuthenticate, $"{Scheme} realm=\"experiments\"");
        Response.Headers.Append(HeaderNames.WWWAuthenticate, "Bearer realm=\"experiments\"");
        return Task.CompletedTask;
    }
}
