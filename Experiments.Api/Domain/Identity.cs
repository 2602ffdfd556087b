namespace Experiments.Api.Domain;

/// <summary>
/// The unit of randomisation, by an identifier that the application chooses. Two identifiers are the same only when they are
/// the same characters; forms of Unicode are not folded into one another.
/// </summary>
internal static class Identity
{
    /// <summary>Characters (Unicode scalars) that an identifier may have.</summary>
    public const int MaxLength = 2000;

    public const string TooLong = "An identifier may have 2000 characters at most.";

    /// <summary>What is wrong with an identifier that is given, or null.</summary>
    public static string? Fault(string identifier) =>
        !Fits(identifier) ? TooLong
        // Neither PostgreSQL nor some clients could keep it.
        : identifier.Contains('\0', StringComparison.Ordinal) ? "An identifier may not contain a NUL character."
        : null;

    public static bool Fits(string identifier) => identifier.Length <= MaxLength || identifier.EnumerateRunes().Count() <= MaxLength;

    /// <summary>What stands for an identifier where it is a key: the first half of the SHA-256 of its UTF-8.</summary>
    public static Guid Key(string identifier)
    {
        Span<byte> hash = stackalloc byte[32];
        System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(identifier), hash);
        return new(hash[..16], bigEndian: true);
    }
}
