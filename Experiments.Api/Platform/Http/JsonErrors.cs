namespace Experiments.Api.Platform.Http;

/// <summary>What is wrong with a body, by path.</summary>
internal sealed class JsonErrors
{
    // One more than are told, by which it is seen that there are more.
    private const int Most = ProblemResult.MostErrors + 1;

    private readonly List<(string Path, string Message)> _found = [];
    private readonly HashSet<string> _paths = new(StringComparer.Ordinal);
    private readonly List<object> _place = [];

    public bool IsAtRoot => _place.Count == 0;

    public bool None => _found.Count == 0;

    public bool Enough => _found.Count >= Most;

    /// <summary>Goes into a member, by its name, or into an item of a list, by its number.</summary>
    public void Enter(object step) => _place.Add(step);

    public void Leave() => _place.RemoveAt(_place.Count - 1);

    public void AddHere(string message)
    {
        if (!Enough)
        {
            Add(IsAtRoot ? "(name)" : string.Concat(_place.Select(step => step is int index ? $"[{index}]" : step)), message);
        }
    }

    public void Add(string path, string message)
    {
        if (!Enough)
        {
            _found.Add((path, message));
            _paths.Add(path);
        }
    }

    /// <summary>Whether something is wrong at this path or inside of it.</summary>
    public bool Has(string path) =>
        _paths.Contains(path)
        || _paths.Any(found =>
            found.StartsWith(path + '.', StringComparison.Ordinal) || found.StartsWith(path + '[', StringComparison.Ordinal)
        );

    public IEnumerable<(string Path, string Message)> Found => _found.Select(error => (error.Path, $"This {error.Message}."));
}
