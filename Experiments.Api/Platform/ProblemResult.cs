namespace Experiments.Api.Platform;

/// <summary>Why a request was refused: one of the <see cref="Problem"/>s, with what is particular to this request.</summary>
internal sealed record ProblemResult(Problem Problem, string Detail)
{
    /// <summary>The maximum number of errors reported. A client that makes more does not read them.</summary>
    public const int MostErrors = 100;

    private const int LongestPath = 256;

    /// <summary>Messages by the field's path on the wire, in the order in which they were found.</summary>
    public IReadOnlyDictionary<string, string[]>? Errors { get; init; }

    /// <summary>The number of seconds after which to retry, if known.</summary>
    public int? RetryAfter { get; init; }

    public static implicit operator ProblemResult(Problem problem) => new(problem, problem.Advice);

    /// <summary>A single field that breaks a rule.</summary>
    public static ProblemResult Field(string path, string message) => Fields([(path, message)]);

    /// <summary>Several fields, in the order in which the errors were found. Duplicate messages for a field are reported once.</summary>
    public static ProblemResult Fields(IEnumerable<(string Path, string Message)> found)
    {
        // One extra error shows that there are more.
        var errors = found.Take(MostErrors + 1).ToList();
        return new(
            Problem.Invalid,
            errors.Count > MostErrors ? $"{Problem.Invalid.Advice} Only the first {MostErrors} are named." : Problem.Invalid.Advice
        )
        {
            Errors = errors
                .Take(MostErrors)
                .GroupBy(error => Short(error.Path))
                .ToDictionary(same => same.Key, same => same.Select(error => error.Message).Distinct().ToArray()),
        };
    }

    // A path contains names chosen by the client, which may be long.
    private static string Short(string path) =>
        path.Length <= LongestPath ? path : path[..(char.IsHighSurrogate(path[LongestPath - 1]) ? LongestPath - 1 : LongestPath)] + "…";
}
