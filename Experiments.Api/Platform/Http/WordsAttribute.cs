using System.Text.Json;

namespace Experiments.Api.Platform.Http;

/// <summary>A text that is always one of these words.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal class WordsAttribute(params string[] words) : Attribute
{
    public string[] Words { get; } = words;
}

/// <summary>A text that is always one of the words of an enum.</summary>
internal sealed class WordsAttribute<T>() : WordsAttribute([.. Enum.GetNames<T>().Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)])
    where T : struct, Enum;
