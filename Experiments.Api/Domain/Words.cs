using System.Text;

namespace Experiments.Api.Domain;

/// <summary>Enums as the snake_case words that they are on the wire and in the database.</summary>
internal static class Words
{
    public static string Of<T>(T value)
        where T : struct, Enum => Known<T>.Words[value];

    /// <summary>Every word of a set, in the order of the enum.</summary>
    public static string[] All<T>()
        where T : struct, Enum => [.. Enum.GetValues<T>().Select(Of)];

    /// <summary>The value that a word stands for, or null where it is none of the set.</summary>
    public static T? TryParse<T>(string? word)
        where T : struct, Enum => word is not null && Known<T>.Values.TryGetValue(word, out var value) ? value : null;

    /// <exception cref="FormatException">The word is none of the set.</exception>
    public static T Parse<T>(string? word)
        where T : struct, Enum => TryParse<T>(word) ?? throw new FormatException($"'{word}' is no {typeof(T).Name}.");

    private static string SnakeCase(string name)
    {
        var word = new StringBuilder();
        foreach (var letter in name)
        {
            if (char.IsAsciiLetterUpper(letter) && word.Length > 0)
            {
                word.Append('_');
            }

            word.Append(char.ToLowerInvariant(letter));
        }

        return word.ToString();
    }

    private static class Known<T>
        where T : struct, Enum
    {
        public static readonly Dictionary<T, string> Words = Enum.GetValues<T>()
            .ToDictionary(value => value, value => SnakeCase(value.ToString()));

        public static readonly Dictionary<string, T> Values = Words.ToDictionary(pair => pair.Value, pair => pair.Key);
    }
}
