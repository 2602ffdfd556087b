using Microsoft.IdentityModel.Tokens;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// Who may issue tokens, by the section Authentication:Schemes:Bearer. A subject is a person only together with its issuer, and a key signs
/// for the issuer that it was given for and for no other.
/// </summary>
internal sealed class Issuers
{
    private readonly ILookup<string, SecurityKey> _keys;
    private readonly bool _hasAuthority;

    public Issuers(IConfiguration configuration)
    {
        var bearer = configuration.GetSection("Authentication:Schemes:Bearer");
        WithOperation =
        [
            .. bearer
                .GetSection("ValidIssuers")
                .GetChildren()
                .Select(issuer => issuer.Value)
                .Prepend(bearer["ValidIssuer"])
                .OfType<string>()
                .Where(issuer => issuer.Length > 0)
                .Distinct(),
        ];
        _hasAuthority = !string.IsNullOrEmpty(bearer["Authority"]) || !string.IsNullOrEmpty(bearer["MetadataAddress"]);
        _keys = bearer
            .GetSection("SigningKeys")
            .GetChildren()
            .Where(key => key["Issuer"] is not null && key["Value"] is not null)
            .ToLookup(key => key["Issuer"]!, key => (SecurityKey)new SymmetricSecurityKey(Convert.FromBase64String(key["Value"]!)));
        // An authority is an issuer, whose name its own metadata says; a name that has no key here can only be another one of it.
        var others = WithOperation.Count(issuer => !_keys.Contains(issuer));
        AreSeveral = WithOperation.Count - others + (_hasAuthority ? Math.Max(1, others) : others) > 1;
    }

    /// <summary>Those that the configuration names.</summary>
    public IReadOnlyList<string> WithOperation { get; }

    /// <summary>Whether there is more than one, so that a subject alone says nothing.</summary>
    public bool AreSeveral { get; }

    /// <summary>Whose subject is meant where none is named; null where that is not known.</summary>
    public string? Only => AreSeveral || WithOperation.Count == 0 ? null : WithOperation[0];

    /// <summary>Whether this may be one of them; the name of an authority is not known before it is asked.</summary>
    public bool MayBe(string issuer) => _hasAuthority || WithOperation.Count == 0 || WithOperation.Contains(issuer);

    /// <summary>The person that a valid token is of.</summary>
    public Actor Person(string issuer, string subject) =>
        new(AreSeveral ? $"{issuer}|{subject}" : subject)
        {
            Subject = subject,
            Issuer = issuer,
            IsOfOnlyIssuer = !AreSeveral,
        };

    /// <summary>
    /// The keys that may have signed a token of this issuer: those that the configuration has for it, or else those of the authority that
    /// it is a name of.
    /// </summary>
    public IEnumerable<SecurityKey> KeysOf(string issuer, string? keyId, BaseConfiguration? metadata) =>
        _keys.Contains(issuer) && metadata?.Issuer != issuer ? _keys[issuer]
        : metadata is not null && (metadata.Issuer == issuer || WithOperation.Contains(issuer))
            ? [.. _keys[issuer], .. metadata.SigningKeys.Where(key => string.IsNullOrEmpty(keyId) || key.KeyId == keyId)]
        : [];
}
