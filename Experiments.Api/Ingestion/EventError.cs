namespace Experiments.Api.Ingestion;

/// <summary>What is wrong with an event: where, and what.</summary>
/// <param name="Path">From the event on, such as <c>.traits.plan</c>; empty for the event itself.</param>
/// <param name="What">What goes on after "this", such as "must be a string or null"; or a sentence of its own.</param>
/// <param name="IsSentence">Whether it is one.</param>
internal readonly record struct EventError(string Path, string What, bool IsSentence = false)
{
    private const int LongestName = 64;

    /// <summary>As one text, for whoever looks at a single event.</summary>
    public override string ToString() => $"{Path}{(IsSentence ? ":" : "")} {What}";

    /// <summary>As what is said of a field.</summary>
    public string Message => IsSentence ? $"{char.ToUpperInvariant(What[0])}{What[1..]}." : $"This {What}.";

    /// <summary>The same of something further inside.</summary>
    public EventError Within(string path) => this with { Path = path + Path };

    /// <summary>The path of a member that the client has named, and may have named at length.</summary>
    public static string Member(string? name) =>
        name is null || name.Length <= LongestName
            ? "." + name
            : $".{name[..(char.IsHighSurrogate(name[LongestName - 1]) ? LongestName - 1 : LongestName)]}…";
}
