using System.Globalization;
using System.Text.Json;

namespace Experiments.Api.Domain;

/// <summary>
/// The levels of an identity for the breakdowns of an experiment: the values of those traits at its first exposure, null where a trait is
/// not set. Ordered, so that of two exposures at the same instant the same one is kept whatever order they arrive in.
/// </summary>
internal sealed class TraitLevels : IEquatable<TraitLevels>, IComparable<TraitLevels>
{
    /// <summary>The longest level, in characters. Longer values are cut.</summary>
    public const int Longest = 255;

    private readonly string?[] _levels;

    private TraitLevels(string?[] levels) => _levels = levels;

    /// <param name="traits">The traits of an exposure as JSON, or null.</param>
    /// <param name="breakdowns">The names of the traits.</param>
    public static TraitLevels Of(JsonElement? traits, IReadOnlyList<string> breakdowns) =>
        new([.. breakdowns.Select(name => traits is { ValueKind: JsonValueKind.Object } all ? LevelOf(all, name) : null)]);

    /// <summary>Reads what <see cref="ToString"/> wrote.</summary>
    public static TraitLevels? Parse(string? json) => json is null ? null : new(JsonSerializer.Deserialize<string?[]>(json)!);

    public int CompareTo(TraitLevels? other)
    {
        if (other is null)
        {
            return 1;
        }

        for (var index = 0; index < Math.Min(_levels.Length, other._levels.Length); index++)
        {
            // What is set comes before what is not, so that it is what is kept of two exposures at once.
            var (one, two) = (_levels[index], other._levels[index]);
            var order = (one is null, two is null) is (true, false) or (false, true)
                ? (one is null).CompareTo(two is null)
                : string.CompareOrdinal(one, two);
            if (order != 0)
            {
                return order;
            }
        }

        return _levels.Length.CompareTo(other._levels.Length);
    }

    public bool Equals(TraitLevels? other) => other is not null && CompareTo(other) == 0;

    public override bool Equals(object? obj) => Equals(obj as TraitLevels);

    public override int GetHashCode() => _levels.Aggregate(0, HashCode.Combine);

    public override string ToString() => JsonSerializer.Serialize(_levels);

    private static string? LevelOf(JsonElement traits, string name)
    {
        if (!traits.TryGetProperty(name, out var value))
        {
            return null;
        }

        var text = value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            // 1 and 1.0 are one level.
            JsonValueKind.Number => value.TryGetDecimal(out var number)
                ? (number / 1.0000000000000000000000000000m).ToString(CultureInfo.InvariantCulture)
                : value.GetRawText(),
            JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => null,
        };
        return text is null || text.Length <= Longest ? text
            // Not between the two halves of a character.
            : char.IsHighSurrogate(text[Longest - 1]) ? text[..(Longest - 1)]
            : text[..Longest];
    }
}
