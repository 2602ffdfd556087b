using System.Security.Cryptography;
using System.Text;

namespace Experiments.Api.Platform.Access;

/// <summary>Secrets are random, shown once, and stored as their SHA-256.</summary>
internal static class Secret
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>How API keys that were made here begin.</summary>
    public const string Prefix = "exp_";

    private const int ShortestGiven = 24;
    private const int FewestDifferent = 10;

    /// <summary>Whether a key that an operator has made up is too easy to guess to open a whole instance.</summary>
    public static bool IsGuessable(string secret) => secret.Length < ShortestGiven || secret.Distinct().Count() < FewestDifferent;

    /// <summary>A new API key: 40 characters of 62, that is 238 bits.</summary>
    public static string NewApiKey() => Prefix + RandomNumberGenerator.GetString(Alphabet, 40);

    /// <summary>A new public key of an environment: 22 characters of 62, that is 130 bits.</summary>
    public static string NewEnvironmentKey() => RandomNumberGenerator.GetString(Alphabet, 22);

    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
