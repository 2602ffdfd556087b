namespace Experiments.Api.Ingestion;

/// <summary>An error in an event: its location and a message.</summary>
/// <param name="Path">Relative to the event, such as <c>.traits.plan</c>; empty for the event itself.</param>
/// <param name="What">The predicate after "This", such as "must be a string or null", or a complete sentence.</param>
/// <param name="IsSentence">Whether <paramref name="What"/> is a complete sentence.</param>
internal readonly record struct EventError(string Path, string What, bool IsSentence = false)
{
    private const int LongestName = 64;

    /// <summary>As a single text, for the receipt of an individual event.</summary>
    public override string ToString() => $"{Path}{(IsSentence ? ":" : "")} {What}";

    /// <summary>As a message about a field.</summary>
    public string Message => IsSentence ? $"{char.ToUpperInvariant(What[0])}{What[1..]}." : $"This {What}.";

    /// <summary>The same error, relative to an enclosing path.</summary>
    public EventError Within(string path) => this with { Path = path + Path };

    /// <summary>The path of a member. The client chooses its name, so a long name is shortened.</summary>
    public static string Member(string? name) =>
        name is null || name.Length <= LongestName
            ? "." + name
            : $".{name[..(char.IsHighSurrogate(name[LongestName - 1]) ? LongestName - 1 : LongestName)]}…";
}
