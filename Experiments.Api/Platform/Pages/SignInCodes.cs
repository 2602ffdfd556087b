using System.Collections.Concurrent;
using Experiments.Api.Platform.Access;

namespace Experiments.Api.Platform.Pages;

/// <summary>
/// Codes in printed addresses, each of which signs a browser in once. They are in the memory of this process only, and the API key that
/// they stand for never is in an address.
/// </summary>
internal sealed class SignInCodes
{
    private readonly ConcurrentDictionary<string, string> _keys = new();

    /// <summary>A new code for an API key.</summary>
    public string Issue(string key)
    {
        var code = Secret.NewEnvironmentKey();
        _keys[code] = key;
        return code;
    }

    /// <summary>The key of a code, the first time; null after that.</summary>
    public string? Redeem(string? code) => code is not null && _keys.TryRemove(code, out var key) ? key : null;
}
