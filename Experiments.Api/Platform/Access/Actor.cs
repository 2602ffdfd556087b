using System.Security.Claims;

namespace Experiments.Api.Platform.Access;

/// <summary>Who is calling: the subject of a token, or an API key.</summary>
/// <param name="Name">As the audit log names it: the token's subject, or <c>api-key:</c> and the key's id.</param>
/// <param name="IsInstanceKey">Whether this is a key that opens the whole instance.</param>
/// <param name="EnvironmentId">The environment that the key opens, when it opens one.</param>
internal sealed record Actor(string Name, bool IsInstanceKey = false, long? EnvironmentId = null)
{
    /// <summary>The subject that may be among the admins; null for a key, which is none of them.</summary>
    public string? Subject => IsInstanceKey || EnvironmentId is not null ? null : Name;

    /// <summary>No subject of a token may begin like this, so that no user can pass for a key.</summary>
    public const string KeyPrefix = "api-key:";

    /// <summary>
    /// What only the caller and not the database knows of this request: an API key. Empty for a token, which is another one
    /// after it was renewed.
    /// </summary>
    public static string SecretOf(HttpContext http) => http.User.Identity is ApiKeyIdentity ? ApiKeyAuthentication.SecretIn(http.Request) : "";

    public static Actor Of(ClaimsPrincipal user) =>
        user.Identity is ApiKeyIdentity key ? key.Actor : new Actor(user.FindFirstValue("sub") ?? "");
}

/// <summary>The identity of a caller with an API key.</summary>
internal sealed class ApiKeyIdentity(Actor actor) : ClaimsIdentity(ApiKeyAuthentication.Scheme)
{
    public new Actor Actor { get; } = actor;
}
