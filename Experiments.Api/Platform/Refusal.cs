namespace Experiments.Api.Platform;

/// <summary>Why a request was refused: one of the <see cref="Problem"/>s, with what is particular to this request.</summary>
internal sealed record Refusal(Problem Problem, string Detail)
{
    /// <summary>Messages by the field's path on the wire, in the order in which they were found.</summary>
    public IReadOnlyDictionary<string, string[]>? Errors { get; init; }

    /// <summary>After how many seconds to ask again, where that is known.</summary>
    public int? RetryAfter { get; init; }

    public static implicit operator Refusal(Problem problem) => new(problem, problem.Advice);

    /// <summary>A single field that breaks a rule.</summary>
    public static Refusal Field(string path, string message) => Fields([(path, message)]);

    /// <summary>Several fields, in the order in which they were found wrong; what is said of one field twice is told once.</summary>
    public static Refusal Fields(IEnumerable<(string Path, string Message)> found) => Fields(found
        .GroupBy(error => error.Path)
        .ToDictionary(errors => errors.Key, errors => errors.Select(error => error.Message).Distinct().ToArray()));

    private static Refusal Fields(IReadOnlyDictionary<string, string[]> errors) => new(Problem.Invalid, Problem.Invalid.Advice) { Errors = errors };
}
