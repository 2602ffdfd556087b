using Experiments.Api.Ingestion;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Decides which identities are one person. An anonymous identity becomes a known one, once; two known ones are never joined, since
/// whoever shares a device with somebody is not that person.
/// </summary>
/// <param name="known">For identities named before: the identifier that each is known as, its own if it is a known one.</param>
/// <param name="aliases">How many aliases each of the known ones has.</param>
internal sealed class AliasGraph(
    IReadOnlyDictionary<(long Environment, string Identifier), string> known,
    IReadOnlyDictionary<(long Environment, string Identifier), int> aliases
)
{
    /// <summary>How many aliases an identity may have. Whatever has more is no person.</summary>
    public const int Most = 1000;

    // What applications send when they have no identity: it would make one person of all their users.
    private static readonly HashSet<string> Nobody = new(StringComparer.OrdinalIgnoreCase)
    {
        "anonymous",
        "guest",
        "distinctid",
        "distinct_id",
        "id",
        "not_authenticated",
        "email",
        "undefined",
        "null",
        "none",
        "nan",
        "true",
        "false",
        "0",
        "[object Object]",
        "00000000-0000-0000-0000-000000000000",
    };

    private readonly Dictionary<(long Environment, string Identifier), string> _knownAs = new(known);
    private readonly Dictionary<(long Environment, string Identifier), int> _aliases = new(aliases);

    /// <summary>What was not known before, in the order in which it was said.</summary>
    public List<Entry> New { get; } = [];

    /// <summary>Takes in what an event says.</summary>
    public void Take(Statement said)
    {
        var (identifier, alias) = (said.Identifier, said.Alias);
        if (IsNobody(identifier))
        {
            return;
        }

        var isPair = !IsNobody(alias) && alias != identifier;
        if (said.Event == EventNames.Identify)
        {
            var person = PersonOf(identifier) ?? Add(identifier, identifier);
            if (isPair && PersonOf(alias!) is null)
            {
                Add(alias!, person);
            }
        }
        else if (isPair)
        {
            // Either may be the anonymous one.
            if (PersonOf(identifier) is null && PersonOf(alias!) is { } other)
            {
                Add(identifier, other);
            }
            else if (PersonOf(alias!) is null)
            {
                Add(alias!, PersonOf(identifier) ?? Add(identifier, identifier));
            }
        }

        string? PersonOf(string one) => _knownAs.GetValueOrDefault((said.Environment, one));

        string Add(string one, string person)
        {
            var count = _aliases.GetValueOrDefault((said.Environment, person));
            if (one != person && count >= Most)
            {
                return person;
            }

            _aliases[(said.Environment, person)] = one == person ? count : count + 1;
            _knownAs.Add((said.Environment, one), person);
            New.Add(new(said.Environment, one, person, said.Batch));
            return person;
        }
    }

    private static bool IsNobody(string? identifier) => string.IsNullOrWhiteSpace(identifier) || Nobody.Contains(identifier.Trim());

    /// <summary>What an event says of two identities.</summary>
    internal sealed record Statement(long Environment, string Event, string Identifier, string? Alias, long Batch);

    /// <summary>An identity, what it is known as, and the batch that said so.</summary>
    internal sealed record Entry(long Environment, string Identifier, string KnownAs, long Batch)
    {
        public bool IsAlias => Identifier != KnownAs;
    }
}
