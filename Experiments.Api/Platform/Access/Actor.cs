using System.Security.Claims;

namespace Experiments.Api.Platform.Access;

/// <summary>Who is calling: a person with a token, or an API key.</summary>
/// <param name="Name">
/// As the audit log names it: the subject of the token (after its issuer and a bar, where there are several issuers), or <c>api-key:</c>
/// and the key's id.
/// </param>
/// <param name="IsInstanceKey">Whether this is a key that opens the whole instance.</param>
/// <param name="EnvironmentId">The environment that the key opens, when it opens one.</param>
/// <param name="ProjectId">The project that the key opens, when it opens one.</param>
internal sealed record Actor(string Name, bool IsInstanceKey = false, long? EnvironmentId = null, long? ProjectId = null)
{
    /// <summary>The role that the key has where it opens anything.</summary>
    public Role KeyRole { get; init; }

    /// <summary>What changes of the service itself are audited under.</summary>
    public const string Service = "service";

    /// <summary>No subject of a token may begin like this, so that no user can pass for a key.</summary>
    public const string KeyPrefix = "api-key:";

    private const int LongestSubject = 255;

    private static readonly Actor Nobody = new("");

    /// <summary>The subject that may be among the admins; null for a key, which is none of them.</summary>
    public string? Subject { get; init; }

    /// <summary>Whose subject it is.</summary>
    public string? Issuer { get; init; }

    /// <summary>Whether there is no other issuer, so that the subject of an admin who was added without one is this one's.</summary>
    public bool IsOfOnlyIssuer { get; init; }

    /// <summary>
    /// Whether this can be the subject of a person: not so long that nothing could be stored of it, and nothing that passes for somebody
    /// else.
    /// </summary>
    public static bool IsSubject(string? subject) =>
        !string.IsNullOrWhiteSpace(subject)
        && subject.Length <= LongestSubject
        && !subject.Contains('\0', StringComparison.Ordinal)
        && !subject.TrimStart().StartsWith(KeyPrefix, StringComparison.OrdinalIgnoreCase)
        && !subject.Trim().Equals(Service, StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// What only the caller and not the database knows of this request: an API key. Empty for a token, which is another one
    /// after it was renewed.
    /// </summary>
    public static string SecretOf(HttpContext http) =>
        Of(http.User).Subject is null ? ApiKeyAuthentication.TrySecret(http.Request) ?? "" : "";

    public static Actor Of(ClaimsPrincipal user) => user.Identity is ActorIdentity caller ? caller.Actor : Nobody;
}

/// <summary>The identity of a caller, once it has been found out.</summary>
internal sealed class ActorIdentity(Actor actor, string scheme) : ClaimsIdentity(scheme)
{
    public new Actor Actor { get; } = actor;
}
