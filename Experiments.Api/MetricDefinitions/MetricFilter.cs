using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.MetricDefinitions;

/// <summary>
/// A condition on a property of an event. A negated condition holds for an event without the property; every other condition does not.
/// </summary>
internal sealed record MetricFilter(
    [property: Must(Required = true)] string? Property = null,
    [property: Must(Required = true), FilterOperators] string? Operator = null,
    JsonElement? Value = null
)
{
    // Patterns come from definitions, of which there are few.
    private static readonly ConcurrentDictionary<string, Regex> Patterns = new();

    private const int LongestPattern = 200;
    private const int LongestText = 1000;
    private const int MostPatterns = 1000;

    /// <summary>What is wrong with the operator and its value, or null.</summary>
    [JsonIgnore]
    public string? Error =>
        (Operator, Value?.ValueKind) switch
        {
            ("exists" or "not_exists", null or JsonValueKind.Null) => null,
            ("equals" or "not_equals", JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False) => null,
            ("in" or "not_in", JsonValueKind.Array) when Value!.Value.GetArrayLength() is >= 1 and <= 1000 => null,
            ("contains" or "not_contains", JsonValueKind.String) when Value!.Value.GetString() is { Length: > 0 and <= LongestPattern } =>
                null,
            ("matches" or "not_matches", JsonValueKind.String) => IsPattern(Value!.Value.GetString()!)
                ? null
                : $"This must be a regular expression of at most {LongestPattern} characters, without look-around and back-references.",
            ("greater" or "at_least" or "less" or "at_most", JsonValueKind.Number) => null,
            _ => "This must be exists or not_exists (without a value), equals or not_equals (a value), in or not_in (a list), contains or "
                + "not_contains (a text), matches or not_matches (a regular expression), greater, at_least, less or at_most (a number).",
        };

    public bool Holds(string? actual) =>
        Operator switch
        {
            "exists" => actual is not null,
            "not_exists" => actual is null,
            "equals" => actual is not null && Same(actual, Value!.Value),
            "not_equals" => actual is null || !Same(actual, Value!.Value),
            "in" => actual is not null && IsAmong(actual),
            "not_in" => actual is null || !IsAmong(actual),
            "contains" => actual?.Contains(Value!.Value.GetString()!, StringComparison.OrdinalIgnoreCase) == true,
            "not_contains" => actual?.Contains(Value!.Value.GetString()!, StringComparison.OrdinalIgnoreCase) != true,
            "matches" => actual is not null && Matches(actual),
            "not_matches" => actual is null || !Matches(actual),
            "greater" => MetricSource.Number(actual) > Value!.Value.GetDouble(),
            "at_least" => MetricSource.Number(actual) >= Value!.Value.GetDouble(),
            "less" => MetricSource.Number(actual) < Value!.Value.GetDouble(),
            "at_most" => MetricSource.Number(actual) <= Value!.Value.GetDouble(),
            _ => false,
        };

    private bool Matches(string actual) =>
        Compiled(Value!.Value.GetString()!).IsMatch(actual.Length <= LongestText ? actual : actual[..LongestText]);

    // Time linear in the length of the text, whatever the pattern.
    private static Regex Compiled(string pattern)
    {
        if (Patterns.Count >= MostPatterns)
        {
            Patterns.Clear();
        }

        return Patterns.GetOrAdd(pattern, static text => new(text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant));
    }

    private static bool IsPattern(string pattern)
    {
        try
        {
            return pattern.Length <= LongestPattern && Compiled(pattern) is not null;
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            return false;
        }
    }

    private bool IsAmong(string actual) => Value!.Value.EnumerateArray().Any(value => Same(actual, value));

    // A number is the same however it is written.
    private static bool Same(string actual, JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String => actual == value.GetString(),
            JsonValueKind.Number => MetricSource.Number(actual) == value.GetDouble(),
            _ => actual == value.GetRawText(),
        };
}
