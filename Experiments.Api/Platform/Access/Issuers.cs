using Microsoft.IdentityModel.Tokens;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// Who may issue tokens, by the section Authentication:Schemes:Bearer. A subject is a person only together with its issuer, and a key signs
/// for the issuer that it was given for and for no other.
/// </summary>
internal sealed class Issuers
{
    private readonly ILookup<string, SecurityKey> _keys;

    public Issuers(IConfiguration configuration)
    {
        var bearer = configuration.GetSection("Authentication:Schemes:Bearer");
        Named = [.. bearer.GetSection("ValidIssuers").GetChildren().Select(issuer => issuer.Value).Prepend(bearer["ValidIssuer"]).OfType<string>().Where(issuer => issuer.Length > 0).Distinct()];
        // An authority is an issuer, too; which one, its own metadata says.
        var authority = bearer["Authority"]?.TrimEnd('/');
        AreSeveral = Named.Count + (string.IsNullOrEmpty(authority) || Named.Any(issuer => issuer.TrimEnd('/') == authority) ? 0 : 1) > 1;
        _keys = bearer.GetSection("SigningKeys").GetChildren()
            .Where(key => key["Issuer"] is not null && key["Value"] is not null)
            .ToLookup(key => key["Issuer"]!, key => (SecurityKey)new SymmetricSecurityKey(Convert.FromBase64String(key["Value"]!)));
    }

    /// <summary>Those that the configuration names.</summary>
    public IReadOnlyList<string> Named { get; }

    /// <summary>Whether there is more than one, so that a subject alone says nothing.</summary>
    public bool AreSeveral { get; }

    /// <summary>Whose subject is meant where none is named; null where that is not known.</summary>
    public string? Only => AreSeveral || Named.Count == 0 ? null : Named[0];

    /// <summary>The person that a valid token is of.</summary>
    public Actor Person(string issuer, string subject) =>
        new(AreSeveral ? $"{issuer}|{subject}" : subject) { Subject = subject, Issuer = issuer, IsOfOnlyIssuer = !AreSeveral };

    /// <summary>The keys that may have signed a token of this issuer: those that the configuration has for it, and those of its own metadata.</summary>
    public IEnumerable<SecurityKey> KeysOf(string issuer, string? keyId, BaseConfiguration? metadata) =>
        [.. _keys[issuer], .. metadata?.Issuer == issuer ? metadata.SigningKeys.Where(key => string.IsNullOrEmpty(keyId) || key.KeyId == keyId) : []];
}
