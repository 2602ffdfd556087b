using System.Text.Json;

namespace Experiments.Api.Domain;

/// <summary>Converts enums to the snake_case words used in JSON and in the database, and back.</summary>
internal static class Words
{
    public static string Of<T>(T value)
        where T : struct, Enum => Known<T>.Words[value];

    /// <summary>All words, in the order of the enum.</summary>
    public static string[] All<T>()
        where T : struct, Enum => [.. Enum.GetValues<T>().Select(Of)];

    /// <summary>The value for a word, or null if the enum has no such value.</summary>
    public static T? TryParse<T>(string? word)
        where T : struct, Enum => word is not null && Known<T>.Values.TryGetValue(word, out var value) ? value : null;

    /// <summary>The value for a word.</summary>
    /// <exception cref="FormatException">The enum has no such value.</exception>
    public static T Parse<T>(string? word)
        where T : struct, Enum => TryParse<T>(word) ?? throw new FormatException($"'{word}' is not a {typeof(T).Name}.");

    private static class Known<T>
        where T : struct, Enum
    {
        public static readonly Dictionary<T, string> Words = Enum.GetValues<T>()
            .ToDictionary(value => value, value => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()));

        public static readonly Dictionary<string, T> Values = Words.ToDictionary(pair => pair.Value, pair => pair.Key);
    }
}
