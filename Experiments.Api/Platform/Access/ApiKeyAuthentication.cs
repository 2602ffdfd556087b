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
    AccessCache access,
    FailedSignIns failures
) : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public new const string Scheme = "Api-Key";

    private const string Prefix = Scheme + " ";
    private const string Bearer = "Bearer ";
    private const string Token = "Token ";

    /// <summary>
    /// The secret of a request whose only credential is an API key, however its scheme is spelt; null of any other. A bearer token that
    /// begins as keys do is one, because that is all that many clients can send; so is one with the scheme of Flagsmith's front end, where
    /// that calls; and so is the key of Flagsmith's SDKs for servers.
    /// </summary>
    public static string? TrySecret(HttpRequest request) =>
        request.Headers.Authorization.Count == 0 ? ServerSide(request)
        : request.Headers.Authorization is not [{ } value] ? null
        : value.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) ? value[Prefix.Length..].Trim()
        : KeyAfter(Bearer, value) ?? (request.Path.StartsWithSegments("/flagsmith") ? KeyAfter(Token, value) : null);

    // Flagsmith's SDKs for servers send a key like this where browsers send the one of the environment.
    private static string? ServerSide(HttpRequest request) =>
        request.Path.StartsWithSegments("/api/v1/environment-document") && request.Headers[EnvironmentKeyRoute.Header] is [{ } key]
            ? KeyAfter("ser.", key)
            : null;

    private static string? KeyAfter(string scheme, string value) =>
        value.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)
        && value[scheme.Length..].Trim() is var secret
        && secret.StartsWith(Secret.Prefix, StringComparison.Ordinal)
            ? secret
            : null;

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Request.Headers.Authorization.Count == 0 && TrySecret(Request) is null)
        {
            Context.Features.Set(new RefusalReason("no credential"));
            return AuthenticateResult.NoResult();
        }

        if (TrySecret(Request) is not { } secret)
        {
            Context.Features.Set(new RefusalReason("not a single Api-Key or bearer token"));
            return AuthenticateResult.Fail("Not a single Api-Key.");
        }

        if (!failures.MayTry(Context, secret))
        {
            return AuthenticateResult.Fail("Too many keys from this address were refused.");
        }

        if (await access.Identify(secret, Context.RequestAborted) is { } known)
        {
            failures.Accepted(secret);
            return known;
        }

        Context.Features.Set(new RefusalReason("unknown, expired or revoked API key"));
        return AuthenticateResult.Fail("No such key.");
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        if (Request.Headers.Authorization.Count > 0 && !failures.Count(Context))
        {
            Context.Features.Set(new RefusalReason("too many refused credentials from this address", IsLogged: false));
            Response.StatusCode = StatusCodes.Status429TooManyRequests;
            return Task.CompletedTask;
        }

        Response.StatusCode = StatusCodes.Status401Unauthorized;
        Response.Headers.Append(HeaderNames.WWWAuthenticate, $"{Scheme} realm=\"experiments\"");
        Response.Headers.Append(HeaderNames.WWWAuthenticate, "Bearer realm=\"experiments\"");
        return Task.CompletedTask;
    }
}
