using System.Text.Json;

namespace Experiments.Api.Evaluation;

/// <summary>
/// What flags are evaluated for: an identifier, and the values of the other keys by which an environment assigns. Most have none of
/// these, so only the keys that the snapshot asks for are kept.
/// </summary>
/// <param name="identifier">The identifier; null for nobody in particular.</param>
internal struct Units(string? identifier)
{
    /// <summary>Nobody in particular.</summary>
    public static readonly Units None;

    private Dictionary<string, string>? _others;

    public readonly string? Identifier => identifier;

    /// <summary>The value by which something is assigned, or null without one.</summary>
    /// <param name="key">A key, or null for the identifier.</param>
    public readonly string? Of(string? key) => key is null ? identifier : _others?.GetValueOrDefault(key);

    /// <summary>The same for whoever has this identifier.</summary>
    public readonly Units For(string? identifier) => new(identifier) { _others = _others };

    /// <summary>Adds the value of a key: a string, or a number, which counts by its digits. Any other value is none.</summary>
    public void Add(string key, JsonElement value) =>
        Add(key, value.ValueKind == JsonValueKind.Number ? Domain.UnitKey.Digits(value.GetRawText()) : Text(value));

    /// <summary>An identifier as it is given: a string that is not empty, or a number, which identifies by its digits; or null.</summary>
    public static string? Text(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number ? value.GetRawText()
        : value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text
        : null;

    /// <summary>Adds the value of a key, if it can be one.</summary>
    public void Add(string key, string? value)
    {
        if (value is { Length: > 0 } && Domain.Identity.Fault(value) is null)
        {
            (_others ??= [])[key] = value;
        }
    }

    /// <summary>Adds those members of an object by which the environment assigns.</summary>
    public void AddFrom(JsonElement members, Snapshot snapshot)
    {
        if (members.ValueKind == JsonValueKind.Object)
        {
            foreach (var key in snapshot.UnitKeys)
            {
                if (members.TryGetProperty(key, out var value))
                {
                    Add(key, value);
                }
            }
        }
    }
}
